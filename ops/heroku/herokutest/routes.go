package herokutest

import (
	"net/http"
	"slices"
	"strings"
)

// Routes lists what the stand-in serves, as "METHOD /path/{parameter}".
func (s *Server) Routes() []string {
	var out []string
	for pattern := range s.table() {
		out = append(out, pattern)
	}
	slices.Sort(out)
	return out
}

// table is every route of both services.
func (s *Server) table() map[string]route {
	all := s.platformTable()
	for pattern, r := range s.dataTable() {
		all[pattern] = r
	}
	return all
}

func (s *Server) platformTable() map[string]route {
	return map[string]route{
		"GET /account":                                    s.account,
		"GET /account/rate-limits":                        s.rateLimits,
		"GET /apps":                                       s.listApps,
		"GET /apps/{app}":                                 s.onApp(s.getApp),
		"PATCH /apps/{app}":                               s.onApp(s.patchApp),
		"GET /apps/{app}/collaborators/{account}":         s.onApp(s.collaborator),
		"GET /apps/{app}/config-vars":                     s.onApp(s.configVars),
		"PATCH /apps/{app}/config-vars":                   s.onApp(s.setVars),
		"GET /apps/{app}/formation":                       s.onApp(s.getFormation),
		"PATCH /apps/{app}/formation":                     s.onApp(s.patchFormation),
		"GET /apps/{app}/formation/{type}":                s.onApp(s.getProcess),
		"PATCH /apps/{app}/formation/{type}":              s.onApp(s.patchProcess),
		"POST /apps/{app}/formations/{type}/actions/stop": s.onApp(s.stopProcess),
		"GET /apps/{app}/dynos":                           s.onApp(s.listDynos),
		"POST /apps/{app}/dynos":                          s.onApp(s.createDyno),
		"DELETE /apps/{app}/dynos":                        s.onApp(s.restartDynos),
		"GET /apps/{app}/dynos/{dyno}":                    s.onApp(s.getDyno),
		"DELETE /apps/{app}/dynos/{dyno}":                 s.onApp(s.restartDyno),
		"DELETE /apps/{app}/formations/{type}":            s.onApp(s.restartProcess),
		"POST /apps/{app}/dynos/{dyno}/actions/stop":      s.onApp(s.stopDyno),
		"GET /apps/{app}/releases":                        s.onApp(s.listReleases),
		"POST /apps/{app}/releases":                       s.onApp(s.rollBackRelease),
		"GET /apps/{app}/releases/{release}":              s.onApp(s.getRelease),
		"GET /apps/{app}/releases/{release}/config-vars":  s.onApp(s.releaseVars),
		"GET /apps/{app}/builds":                          s.onApp(s.listBuilds),
		"GET /apps/{app}/features":                        s.onApp(s.listFeatures),
		"GET /apps/{app}/addons":                          s.onApp(s.appAddons),
		"POST /apps/{app}/addons":                         s.onApp(s.createAddon),
		"GET /apps/{app}/addons/{addon}":                  s.onApp(func(c call, a *app) answer { return s.getAddon(c, a) }),
		"DELETE /apps/{app}/addons/{addon}":               s.onApp(s.deleteAddon),
		"GET /apps/{app}/addon-attachments":               s.onApp(s.appAttachments),
		"GET /apps/{app}/addon-attachments/{name}":        s.onApp(s.getAttachment),
		"GET /addon-attachments":                          s.allAttachments,
		"POST /addon-attachments":                         s.attach,
		"GET /addon-attachments/{id}":                     s.anyAttachment,
		"DELETE /addon-attachments/{id}":                  s.detach,
		"GET /addons":                                     s.allAddons,
		"GET /addons/{addon}":                             func(c call) answer { return s.getAddon(c) },
		"GET /addons/{addon}/addon-attachments":           s.addonAttachments,
		"GET /addons/{addon}/config/{namespace}":          s.addonConfig,
		"GET /addon-services/heroku-postgresql/plans":     s.listPlans,
		"POST /actions/addons/resolve":                    s.resolveAddon,
		"POST /actions/addon-attachments/resolve":         s.resolveAttachment,
	}
}

func (s *Server) dataTable() map[string]route {
	const db, v0, maintenances = "/client/v11/databases/{db}", "/postgres/v0/databases/{db}", "/data/maintenances/v1/"
	const transfers = "/client/v11/apps/{app}/transfers"
	return map[string]route{
		"GET " + db:                                       s.onDatabase(s.info),
		"GET " + db + "/wait_status":                      s.onDatabase(s.waitStatus),
		"GET " + db + "/upgrade/wait_status":              s.onDatabase(s.upgradeStatus),
		"POST " + db + "/upgrade/run":                     s.onDatabase(s.runUpgrade),
		"POST " + db + "/upgrade/prepare":                 s.onDatabase(s.prepareUpgrade),
		"POST " + db + "/upgrade/dry_run":                 s.onDatabase(s.dryRun),
		"POST " + db + "/upgrade/cancel":                  s.onDatabase(s.cancelUpgrade),
		"PUT " + db + "/unfollow":                         s.onDatabase(s.unfollow),
		"POST " + db + "/connection_reset":                s.onDatabase(s.connectionReset),
		"GET " + db + "/connection-pooling":               s.onDatabase(s.getPooling),
		"POST " + db + "/connection-pooling":              s.onDatabase(s.attachPooler),
		"GET " + db + "/links":                            s.onDatabase(s.listLinks),
		"POST " + db + "/links":                           s.onDatabase(s.createLink),
		"DELETE " + db + "/links/{link}":                  s.onDatabase(s.deleteLink),
		"POST " + db + "/backups":                         s.onDatabase(s.capture),
		"GET " + db + "/transfer-schedules":               s.onDatabase(s.listSchedules),
		"POST " + db + "/transfer-schedules":              s.onDatabase(s.createSchedule),
		"DELETE " + db + "/transfer-schedules/{schedule}": s.onDatabase(s.deleteSchedule),

		"GET " + transfers:                               s.onApp(s.listTransfers),
		"GET " + transfers + "/{id}":                     s.onTransfer(s.getTransfer),
		"DELETE " + transfers + "/{id}":                  s.onTransfer(s.deleteTransfer),
		"POST " + transfers + "/{id}/actions/cancel":     s.onTransfer(s.cancelTransfer),
		"POST " + transfers + "/{id}/actions/public-url": s.onTransfer(s.publicURL),

		"GET " + v0 + "/credentials":                                    s.onDatabase(s.listCredentials),
		"POST " + v0 + "/credentials":                                   s.onDatabase(s.createCredential),
		"GET " + v0 + "/credentials/{credential}":                       s.onCredential(s.getCredential),
		"DELETE " + v0 + "/credentials/{credential}":                    s.onCredential(s.deleteCredential),
		"POST " + v0 + "/credentials/{credential}/credentials_rotation": s.onCredential(s.rotateCredential),
		"POST " + v0 + "/credentials_rotation":                          s.onDatabase(s.rotateAll),
		"GET " + v0 + "/config":                                         s.onDatabase(s.getSettings),
		"PATCH " + v0 + "/config":                                       s.onDatabase(s.patchSettings),

		"GET " + maintenances + "{db}":             s.onDatabase(s.getMaintenance),
		"GET " + maintenances + "apps/{app}":       s.onApp(s.appMaintenances),
		"GET " + maintenances + "{db}/{window}":    s.onDatabase(s.getWindow), // a plain "window" could not be told from apps/{app}
		"POST " + maintenances + "{db}/window":     s.onDatabase(s.setWindow),
		"POST " + maintenances + "{db}/run":        s.onDatabase(s.runMaintenance),
		"POST " + maintenances + "{db}/schedule":   s.onDatabase(s.scheduleMaintenance),
		"GET " + maintenances + "{db}/history/{$}": s.onDatabase(s.maintenanceHistory),
	}
}

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	for pattern, r := range s.table() {
		m.Handle(pattern, s.serve(r))
	}
	m.Handle("GET /_web/{app}/", http.HandlerFunc(s.web))
	m.Handle("/", s.serve(func(call) answer {
		return no(http.StatusNotFound, "not_found", "The requested API endpoint was not found.")
	}))
	return m
}

// API is the handler of both services.
func (s *Server) API() http.Handler { return s.api }

func (s *Server) onApp(r func(call, *app) answer) route {
	return func(c call) answer {
		a := s.state.app(c.PathValue("app"))
		if a == nil {
			return notFound("app")
		}
		return r(c, a)
	}
}

func (s *Server) onDatabase(r func(call, *database) answer) route {
	return func(c call) answer {
		d := s.state.database(c.PathValue("db"))
		if d == nil {
			return no(http.StatusNotFound, "not_found", "Not found.")
		}
		return r(c, d)
	}
}

// identity reads a value that may be a string or an object with a name or id.
func identity(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case map[string]any:
		for _, k := range []string{"id", "name"} {
			if s, ok := x[k].(string); ok && s != "" {
				return s
			}
		}
	}
	return ""
}

func isData(path string) bool {
	return strings.HasPrefix(path, "/client/") || strings.HasPrefix(path, "/postgres/") || strings.HasPrefix(path, "/data/")
}
