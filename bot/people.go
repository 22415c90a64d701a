package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Member is what the workspace says about one of its people.
type Member struct {
	ID       string
	Name     string
	TeamID   string
	Bot      bool
	Deleted  bool // deactivated
	Guest    bool // single-channel or multi-channel
	Stranger bool // known only through a shared channel
}

// ErrNoMember: the workspace does not know somebody of that id.
var ErrNoMember = errors.New("no such member")

// Directory is what People asks of Slack.
type Directory interface {
	// Member returns ErrNoMember when the workspace does not know the id.
	Member(ctx context.Context, id string) (Member, error)
	// Group returns the ids of a user group's members.
	Group(ctx context.Context, id string) ([]string, error)
	// Team returns the id of the workspace.
	Team(ctx context.Context) (string, error)
}

// peopleFresh is how long an answer about people counts.
const peopleFresh = time.Minute

// People says who somebody is and who may decide. It fails closed: who could
// not be looked up approves nothing. It implements ops.People and is safe for
// concurrent use.
type People struct {
	dir      Directory
	ids      []string
	approval ops.Approval
	now      func() time.Time
	log      *slog.Logger

	mu      sync.Mutex
	team    string
	policy  ops.Policy
	until   time.Time // the policy counts until then
	persons map[string]known
}

type known struct {
	person ops.Person
	until  time.Time
}

// NewPeople takes the ids in PGUPGRADE_APPROVERS: users (U..., W...) and user
// groups (S...).
func NewPeople(dir Directory, approvers []string, approval ops.Approval, now func() time.Time, log *slog.Logger) *People {
	return &People{dir: dir, ids: approvers, approval: approval, now: now, log: log, persons: map[string]known{}}
}

// Person says who somebody is. Somebody whom the workspace does not know, or who
// is no active full member of it, is Barred; an error means that it could not be
// asked.
func (p *People) Person(ctx context.Context, id string) (ops.Person, error) {
	p.mu.Lock()
	k, ok := p.persons[id]
	p.mu.Unlock()
	if ok && p.now().Before(k.until) {
		return k.person, nil
	}
	who, err := p.look(ctx, id)
	if err != nil {
		return ops.Person{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.persons) > 1000 {
		clear(p.persons)
	}
	p.persons[id] = known{who, p.now().Add(peopleFresh)}
	return who, nil
}

func (p *People) look(ctx context.Context, id string) (ops.Person, error) {
	who := ops.Person{Actor: ops.Actor{ID: id}}
	if !slackUser.MatchString(id) {
		who.Barred = "unknown to this workspace"
		return who, nil
	}
	team, err := p.ours(ctx)
	if err != nil {
		return who, err
	}
	m, err := p.dir.Member(ctx, id)
	if errors.Is(err, ErrNoMember) {
		who.Barred = "unknown to this workspace"
		return who, nil
	}
	if err != nil {
		return who, fmt.Errorf("look up %s: %w", id, err)
	}
	who.Name = m.Name
	switch {
	case m.Deleted:
		who.Barred = "deactivated in this workspace"
	case m.Bot:
		who.Barred = "a bot"
	case m.Stranger, m.TeamID != "" && m.TeamID != team:
		who.Barred = "not a member of this workspace"
	case m.Guest:
		who.Barred = "a guest of this workspace"
	}
	return who, nil
}

func (p *People) ours(ctx context.Context) (string, error) {
	p.mu.Lock()
	team := p.team
	p.mu.Unlock()
	if team != "" {
		return team, nil
	}
	team, err := p.dir.Team(ctx)
	if err != nil {
		return "", fmt.Errorf("look up the workspace: %w", err)
	}
	p.mu.Lock()
	p.team = team
	p.mu.Unlock()
	return team, nil
}

// Policy says who may decide, as of at most a minute ago. Groups and people that
// could not be looked up are in Failed and approve nothing.
func (p *People) Policy(ctx context.Context) (ops.Policy, error) {
	p.mu.Lock()
	policy, fresh := p.policy, p.now().Before(p.until)
	p.mu.Unlock()
	if fresh {
		return policy, nil
	}
	policy, err := p.lookAll(ctx)
	if err != nil {
		return ops.Policy{}, err
	}
	if len(policy.Failed) == 0 { // a failed look is not kept
		p.mu.Lock()
		p.policy, p.until = policy, p.now().Add(peopleFresh)
		p.mu.Unlock()
	}
	return policy, nil
}

func (p *People) lookAll(ctx context.Context) (ops.Policy, error) {
	policy := ops.Policy{Configured: len(p.ids) > 0, Approval: p.approval}
	var ids []string
	for _, id := range p.ids {
		members := []string{id}
		if strings.HasPrefix(id, "S") {
			var err error
			if members, err = p.dir.Group(ctx, id); err != nil {
				p.log.WarnContext(ctx, "a group of approvers could not be looked up; it approves nobody", "group", id, "err", err)
				policy.Failed = append(policy.Failed, "`"+id+"`")
				continue
			}
		}
		for _, m := range members {
			if !slices.Contains(ids, m) {
				ids = append(ids, m)
			}
		}
	}
	who, failed := p.lookMany(ctx, ids)
	policy.Approvers = who
	policy.Failed = append(policy.Failed, failed...)
	if ctx.Err() != nil {
		return ops.Policy{}, fmt.Errorf("look up the approvers: %w", ctx.Err())
	}
	return policy, nil
}

// lookMany looks people up a few at a time; who comes back keeps the order.
func (p *People) lookMany(ctx context.Context, ids []string) (who []ops.Person, failed []string) {
	found := make([]ops.Person, len(ids))
	errs := make([]error, len(ids))
	places := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i, id := range ids {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			found[i], errs[i] = p.Person(ctx, id)
		})
	}
	wg.Wait()
	for i, id := range ids {
		if errs[i] != nil {
			p.log.WarnContext(ctx, "an approver could not be looked up and approves nothing", "user", id, "err", errs[i])
			failed = append(failed, "<@"+id+">")
			continue
		}
		who = append(who, found[i])
	}
	return who, failed
}

// Warm looks the approvers up again before the answer is too old, until ctx
// ends, so that nobody who presses a button waits for it: what opens a modal
// must be used within three seconds.
func (p *People) Warm(ctx context.Context) {
	for {
		look, cancel := context.WithTimeout(ctx, 20*time.Second)
		p.mu.Lock()
		p.until = time.Time{}
		clear(p.persons)
		p.mu.Unlock()
		if _, err := p.Policy(look); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "the approvers could not be looked up", "err", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-time.After(peopleFresh * 3 / 4):
		}
	}
}
