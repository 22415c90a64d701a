'use strict';
window.problems = [];
window.addEventListener('error', (e) => window.problems.push(e.message));
window.addEventListener('unhandledrejection', (e) => window.problems.push(String(e.reason)));
// The page: reads the state of both stand-ins, draws it as Slack does, and
// sends what a person types and presses.
let me = localStorage.getItem('me') || 'U1';
let thread = '';
let state = null;
let drawn = {};
let confirming = null;
const $ = (id) => document.getElementById(id);

async function post(path, body) {
  const r = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const text = await r.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { answer = { error: text }; }
  if (!r.ok && !answer.error) answer.error = r.statusText;
  await refresh();
  return answer;
}

async function refresh() {
  try {
    const r = await fetch(`api/state?as=${me}`);
    state = await r.json();
  } catch { return; }
  draw();
}

// put replaces a part of the page only when it changed, so that a press or a
// selection is not lost.
function put(id, key, make) {
  const k = JSON.stringify(key);
  if (drawn[id] === k) return;
  drawn[id] = k;
  const box = $(id);
  const bottom = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  box.replaceChildren(...make());
  if (bottom && (id === 'messages' || id === 'thread')) box.scrollTop = box.scrollHeight;
}

function people() { return Object.fromEntries(state.people.map((p) => [p.id, p])); }

function draw() {
  put('people', [state.people, me], () => [element('label', '', 'You are'), ...state.people.filter((p) => !p.bot).map((p) => {
    const b = element('button', 'person');
    b.type = 'button'; b.dataset.person = p.id;
    b.setAttribute('role', 'radio'); b.setAttribute('aria-checked', String(p.id === me));
    b.append(avatar(p, 'small'), document.createTextNode(p.name));
    if (p.title) b.title = p.title;
    b.onclick = () => become(p.id);
    return b;
  })]);
  $('speed').textContent = state.note;
  $('botdot').className = state.bot === 'running' ? 'dot' : 'dot off';
  $('title').textContent = $('channelname').textContent = '# ' + state.channel;
  const roots = state.messages.filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.broadcast);
  const replies = (ts) => state.messages.filter((m) => m.thread_ts === ts && m.ts !== ts);
  const withReplies = state.messages.filter((m) => replies(m.ts).length);
  if (!thread && withReplies.length) thread = withReplies[withReplies.length - 1].ts;
  put('messages', [roots, me, state.people, roots.map((m) => replies(m.ts).length)], () => roots.map((m) => message(m, replies(m.ts).length)));
  const inThread = state.messages.filter((m) => m.ts === thread || m.thread_ts === thread);
  put('thread', [inThread, me, thread], () => inThread.map((m) => message(m, 0, true)));
  $('threadcount').textContent = inThread.length > 1 ? `${inThread.length - 1} replies` : '';
  put('rows', state.rows, () => drawRows(state.rows));
  put('lag', state.lag, () => state.lag.map(chart));
  put('heroku', state.heroku, () => state.heroku.map(card));
  put('strip', [state.breaks], () => state.breaks.map(breakButton));
  const on = state.breaks.filter((b) => b.on).length;
  $('broken').textContent = on ? `${on} on; press again to mend` : 'at any moment';
  drawModal();
}

function breakButton(b) {
  const e = element('button', b.on ? 'on' : '');
  e.type = 'button'; e.dataset.break = b.id;
  e.disabled = !!b.why;
  e.setAttribute('aria-pressed', String(b.on));
  e.append(element('span', 'light'), element('b', '', escapeHTML(b.label)));
  e.title = b.why || b.help;
  const say = () => { $('help').textContent = (b.on ? 'On. Press again to mend it. ' : '') + (b.why || b.help); };
  e.onmouseenter = e.onfocus = say;
  e.onclick = async () => {
    const a = await post('api/break', { id: b.id });
    $('help').textContent = a.error ? '' : b.help;
    if (a.error) toast(a.error);
  };
  return e;
}

// toast says what Slack would not have: a mistake in the sandbox's own controls.
let toasted;
function toast(text) {
  $('toast').textContent = text;
  $('toast').hidden = false;
  clearTimeout(toasted);
  toasted = setTimeout(() => { $('toast').hidden = true; }, 5000);
}

function become(id) {
  me = id;
  localStorage.setItem('me', id);
  refresh();
}

function avatar(p, size) {
  const colors = ['#1264a3', '#e8912d', '#2eb67d', '#e01e5a', '#4a154b'];
  const place = state.people.filter((q) => !q.bot).findIndex((q) => q.id === p?.id);
  const a = element('span', `avatar ${size ?? ''}`, p?.bot ? '🐘' : escapeHTML((p?.name ?? '?')[0]));
  a.style.background = p?.bot ? '#e3edf7' : colors[Math.max(place, 0) % colors.length];
  return a;
}

function message(m, replies, inThread) {
  const all = people();
  const p = all[m.user];
  const d = element('div', 'msg');
  d.dataset.ts = m.ts;
  if (m.ephemeral) d.classList.add('ephemeral');
  if (m.broadcast && !inThread) d.classList.add('broadcast');
  d.append(avatar(p));
  const body = element('div', 'body');
  if (m.ephemeral) body.append(element('span', 'only', '👁 Only visible to you'));
  body.append(element('span', 'tag', '↳ replied to a thread'));
  const when = new Date(Number(m.ts) * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  body.append(element('div', 'who', `${escapeHTML(p?.name ?? m.user)}${p?.bot ? '<span class="app">APP</span>' : ''}<span class="when">${when}</span>`));
  if (m.typed) body.append(element('div', 'typed', `typed <code>${escapeHTML(m.text)}</code>`));
  else if (m.blocks?.length) {
    const ctx = { people: all, me, press: (x, b, e) => press(m, x, b, e) };
    for (const b of m.blocks) {
      const e = drawBlock(b, ctx);
      if (b.type === 'actions' && b.elements.some((x) => /approve/.test(x.action_id)) && me === 'U1' && state.people.length > 1) {
        const other = state.people.find((q) => !q.bot && q.id !== me);
        const hint = element('button', 'hintas', `now approve as ${escapeHTML(other.name)}`);
        hint.type = 'button'; hint.onclick = () => become(other.id);
        e.append(hint);
      }
      body.append(e);
    }
  } else body.append(element('div', 'block', mrkdwn(m.text, all, me)));
  if (m.edited) body.append(element('span', 'edited', '(edited)'));
  if (replies && !inThread) {
    const r = element('button', 'replies', `${replies} ${replies === 1 ? 'reply' : 'replies'}`);
    r.type = 'button';
    r.onclick = () => { thread = m.ts; draw(); };
    body.append(r);
  }
  d.append(body);
  return d;
}

async function press(m, x, block, button) {
  if (x.confirm && confirming !== x) {
    confirming = x;
    return askConfirm(x, () => { press(m, x, block, button); confirming = null; });
  }
  button.disabled = true;
  const a = await post('api/click', { as: me, ts: m.ts, ephemeral: !!m.ephemeral, action_id: x.action_id, block_id: block.block_id ?? '', value: x.value ?? '' });
  button.disabled = false;
  if (a.error) toast(a.error);
}

function askConfirm(x, yes) {
  const c = x.confirm;
  const all = people();
  $('modal').replaceChildren(element('h3', '', plain(c.title, all, me)), element('div', 'body', plain(c.text, all, me)));
  const foot = element('div', 'foot');
  const no = element('button', 'button', plain(c.deny ?? { text: 'Cancel' }, all, me));
  const ok = element('button', `button ${c.style ?? 'primary'}`, plain(c.confirm ?? { text: 'Yes' }, all, me));
  no.type = ok.type = 'button';
  ok.dataset.confirm = 'yes';
  const close = () => { $('shade').hidden = true; drawn.modal = ''; };
  no.onclick = () => { confirming = null; close(); };
  ok.onclick = () => { close(); yes(); };
  foot.append(no, ok);
  $('modal').append(foot);
  $('shade').hidden = false;
}

let typed = {};
function drawModal() {
  if (confirming) return;
  const v = state.views[state.views.length - 1];
  const key = JSON.stringify(v ?? null);
  if (drawn.modal === key) return;
  drawn.modal = key;
  $('shade').hidden = !v;
  if (!v) { typed = {}; return; }
  const all = people();
  const body = element('div', 'body');
  for (const b of v.blocks) body.append(drawBlock(b, { people: all, me, errors: v.errors, typed, press: () => {} }));
  const foot = element('div', 'foot');
  const cancel = element('button', 'button', plain(v.close ?? { text: 'Close' }, all, me));
  cancel.type = 'button';
  cancel.onclick = () => post('api/close', { as: me, view_id: v.id });
  foot.append(cancel);
  if (v.submit) {
    const ok = element('button', 'button primary', plain(v.submit, all, me));
    ok.type = 'button'; ok.dataset.submit = 'yes';
    ok.onclick = async () => {
      const values = {};
      for (const i of body.querySelectorAll('input')) (values[i.dataset.block] ??= {})[i.name] = i.value;
      typed = values;
      ok.disabled = true;
      const a = await post('api/submit', { as: me, view_id: v.id, values });
      ok.disabled = false;
      if (a.error) toast(a.error);
    };
    foot.append(ok);
  }
  $('modal').replaceChildren(element('h3', '', plain(v.title, all, me)), body, foot);
  body.querySelector('input')?.focus();
}

function card(c) {
  const d = element('div', 'card');
  d.append(element('h4', '', escapeHTML(c.title)));
  for (const r of c.rows) {
    const row = element('div', 'row');
    row.append(element('span', 'muted', escapeHTML(r.name)), element('span', r.mark ?? '', escapeHTML(r.value)));
    d.append(row);
  }
  return d;
}

$('composer').onsubmit = async (e) => {
  e.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  $('text').value = '';
  const a = await post('api/command', { as: me, text });
  if (a.error) { toast(a.error); $('text').value = text; }
};
refresh();
setInterval(refresh, 400);
