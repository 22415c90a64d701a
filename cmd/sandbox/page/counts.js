// What became of the rows, and how far followers are behind.
function drawRows(rows) {
  if (!rows.length) return [];
  const t = element('table', 'rows');
  t.append(element('tr', '', '<th></th><th>written</th><th>acknowledged</th><th>missing</th>'));
  for (const r of rows) {
    const tr = element('tr', '', `<td>${escapeHTML(r.app)}</td><td>${r.written}</td><td>${r.acknowledged}</td>`);
    const missing = element('td', r.unknown ? 'muted' : r.missing ? 'bad' : 'good', r.unknown ? '?' : String(r.missing));
    missing.title = r.unknown || 'rows that a database acknowledged and that the app\u2019s database of now does not hold';
    missing.dataset.missing = r.app;
    tr.append(missing);
    t.append(tr);
  }
  return [t];
}

// chart draws lag over time: a line, its top and its present value.
function chart(l) {
  const w = 250, h = 56, top = Math.max(...l.behind, 1);
  const x = (i) => l.behind.length < 2 ? w : i / (l.behind.length - 1) * w;
  const y = (v) => h - 3 - v / top * (h - 6);
  if (!l.behind.length) return element('div', 'lag', `<span class="muted">${escapeHTML(l.name)}: lag unknown</span>`);
  const points = l.behind.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
  const now = l.behind[l.behind.length - 1];
  const said = `${now} commits`;
  const d = element('div', 'lag');
  d.append(element('div', 'row', `<span class="muted">${escapeHTML(l.name)}</span><span>behind by ${said}</span>`));
  const svg = element('div', '', `<svg viewBox="0 0 ${w} ${h}" role="img" aria-label="${escapeHTML(l.name)} is behind by ${said}">
    <line x1="0" x2="${w}" y1="${y(0)}" y2="${y(0)}" class="base"/>
    <polygon points="0,${y(0)} ${points} ${w},${y(0)}" class="under"/>
    <polyline points="${points}" class="line"/>
    <circle cx="${x(l.behind.length - 1)}" cy="${y(now)}" r="2.5" class="now"/>
    <text x="3" y="10">top ${Math.max(...l.behind)}</text></svg>`);
  d.append(svg);
  return d;
}
