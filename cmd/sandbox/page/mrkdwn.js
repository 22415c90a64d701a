'use strict';
// Slack's mrkdwn to HTML, as far as messages of apps use it
// (docs.slack.dev/messaging/formatting-message-text).
const EMOJI = {
  white_check_mark: '✅', heavy_check_mark: '✔️', hourglass_flowing_sand: '⏳', hourglass: '⌛', arrow_forward: '▶️', warning: '⚠️',
  octagonal_sign: '🛑', wastebasket: '🗑️', lock: '🔒', unlock: '🔓', eyes: '👀', tada: '🎉', rocket: '🚀', x: '❌', moneybag: '💰',
  bell: '🔔', zzz: '💤', leftwards_arrow_with_hook: '↩️', sos: '🆘', information_source: 'ℹ️', question: '❓', mag: '🔍', floppy_disk: '💾',
  white_circle: '⚪', large_blue_circle: '🔵', large_green_circle: '🟢', large_yellow_circle: '🟡', red_circle: '🔴', construction: '🚧',
  stopwatch: '⏱️', elephant: '🐘', checkered_flag: '🏁', raised_hand: '✋', memo: '📝', heavy_minus_sign: '➖', black_circle: '⚫',
  arrows_counterclockwise: '🔄', package: '📦', no_entry: '⛔', no_entry_sign: '🚫', point_right: '👉', wave: '👋', shield: '🛡️', chart_with_downwards_trend: '📉',
  white_large_square: '⬜', ballot_box_with_check: '☑️', small_blue_diamond: '🔹', radio_button: '🔘', clock3: '🕒', heavy_dollar_sign: '💲', busts_in_silhouette: '👥', bulb: '💡', broom: '🧹', link: '🔗', wrench: '🔧', alarm_clock: '⏰', calendar: '📅',
};

function escapeHTML(s) {
  return s.replace(/&(?!amp;|lt;|gt;)/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

function slackDate(unix, format) {
  const d = new Date(unix * 1000);
  const time = d.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const secs = d.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const day = d.toLocaleDateString([], { month: 'long', day: 'numeric', year: 'numeric' });
  const short = d.toLocaleDateString([], { month: 'short', day: 'numeric' });
  const today = new Date().toDateString() === d.toDateString();
  return format.replace(/\{(\w+)\}/g, (all, name) => ({
    time, time_secs: secs, date: day, date_num: d.toISOString().slice(0, 10), date_short: short, date_long: day,
    date_pretty: today ? 'today' : day, date_short_pretty: today ? 'today' : short, date_long_pretty: today ? 'today' : day,
    ago: 'just now', day_divider_pretty: today ? 'today' : day,
  }[name] ?? all));
}

function mrkdwn(text, people, me) {
  const kept = [];
  const keep = (html) => `\u0000${kept.push(html) - 1}\u0000`;
  let s = String(text ?? '');
  s = s.replace(/```\n?([\s\S]*?)```/g, (_, c) => keep(`<pre><code>${escapeHTML(c)}</code></pre>`));
  s = s.replace(/`([^`\n]+)`/g, (_, c) => keep(`<code>${escapeHTML(c)}</code>`));
  s = s.replace(/<@([UW]\w+)(?:\|[^>]*)?>/g, (_, id) => keep(`<span class="mention${id === me ? ' me' : ''}">@${escapeHTML(people[id]?.name ?? id)}</span>`));
  s = s.replace(/<!subteam\^(\w+)(?:\|([^>]*))?>/g, (_, id, n) => keep(`<span class="mention">${escapeHTML(n ?? '@' + id)}</span>`));
  s = s.replace(/<!date\^(\d+)\^([^\^|>]*)(?:\^[^|>]*)?\|([^>]*)>/g, (_, u, f) => keep(escapeHTML(slackDate(Number(u), f))));
  s = s.replace(/<!(here|channel|everyone)(?:\|[^>]*)?>/g, (_, n) => keep(`<span class="mention">@${n}</span>`));
  s = s.replace(/<#(\w+)(?:\|([^>]*))?>/g, (_, id, n) => keep(`<a>#${escapeHTML(n || state?.channel || 'channel')}</a>`));
  s = s.replace(/<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>/g, (_, u, n) => keep(`<a href="${escapeHTML(u)}" target="_blank" rel="noopener">${escapeHTML(n ?? u)}</a>`));
  s = escapeHTML(s);
  s = s.replace(/(^|[\s([{>.,;:—–-])\*(\S(?:[^*\n]*?\S)?)\*(?=$|[\s)\]}.,;:!?…—–-])/gm, '$1<b>$2</b>');
  s = s.replace(/(^|[\s([{>.,;:—–-])_(\S(?:[^_\n]*?\S)?)_(?=$|[\s)\]}.,;:!?…—–-])/gm, '$1<i>$2</i>');
  s = s.replace(/(^|[\s([{])~(\S(?:[^~\n]*?\S)?)~(?=$|[\s)\]}.,;:!?])/gm, '$1<s>$2</s>');
  s = s.replace(/:([a-z0-9_+-]+):/g, (all, n) => EMOJI[n] ?? all);
  s = s.replace(/^&gt; ?(.*)$/gm, '<blockquote>$1</blockquote>').replace(/<\/blockquote>\n/g, '</blockquote>');
  s = s.replace(/\n/g, '<br>');
  while (/\u0000\d+\u0000/.test(s)) s = s.replace(/\u0000(\d+)\u0000/g, (_, i) => kept[i]);
  return s.replace(/(<\/pre>)<br>/g, '$1');
}

function plain(t, people, me) {
  if (!t) return '';
  if (t.type === 'mrkdwn') return mrkdwn(t.text, people, me);
  return escapeHTML(t.text ?? '').replace(/:([a-z0-9_+-]+):/g, (all, n) => EMOJI[n] ?? all).replace(/\n/g, '<br>');
}
