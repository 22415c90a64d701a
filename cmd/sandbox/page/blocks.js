'use strict';
// Draws Block Kit blocks (docs.slack.dev/reference/block-kit).
function element(tag, cls, html) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (html !== undefined) e.innerHTML = html;
  return e;
}

// ctx: {people, me, press(element, block), errors}
function drawBlock(b, ctx) {
  const text = (t) => plain(t, ctx.people, ctx.me);
  const d = element('div', `block ${b.type}`);
  switch (b.type) {
    case 'header': d.innerHTML = text(b.text); break;
    case 'divider': break;
    case 'section': {
      const main = element('div', 'main');
      if (b.text) main.append(element('div', 'text', text(b.text)));
      if (b.fields) {
        const f = element('div', 'fields');
        for (const x of b.fields) f.append(element('div', 'field', text(x)));
        main.append(f);
      }
      d.append(main);
      if (b.accessory) d.append(drawElement(b.accessory, b, ctx));
      break;
    }
    case 'context':
      for (const x of b.elements) {
        if (x.type === 'image') {
          const i = element('img'); i.src = x.image_url; i.alt = x.alt_text; d.append(i);
        } else d.append(element('span', '', text(x)));
      }
      break;
    case 'actions':
      for (const x of b.elements) d.append(drawElement(x, b, ctx));
      break;
    case 'image': {
      const i = element('img'); i.src = b.image_url; i.alt = b.alt_text;
      if (b.title) d.append(element('div', 'muted', text(b.title)));
      d.append(i);
      break;
    }
    case 'rich_text': d.innerHTML = richText(b, ctx); break;
    case 'input': return drawInput(b, ctx);
    default: d.textContent = `[${b.type}]`;
  }
  return d;
}

function drawElement(x, block, ctx) {
  if (x.type !== 'button') return element('span', 'muted', `[${x.type}]`);
  const b = element('button', `button ${x.style ?? ''}`, plain(x.text, ctx.people, ctx.me));
  b.type = 'button';
  b.dataset.action = x.action_id;
  b.onclick = () => ctx.press(x, block, b);
  return b;
}

function drawInput(b, ctx) {
  const d = element('div', 'input');
  d.dataset.block = b.block_id;
  d.append(element('label', '', plain(b.label, ctx.people, ctx.me)));
  const i = element('input');
  i.name = b.element.action_id;
  i.dataset.block = b.block_id;
  i.placeholder = b.element.placeholder?.text ?? '';
  i.value = ctx.typed?.[b.block_id]?.[b.element.action_id] ?? b.element.initial_value ?? '';
  d.append(i);
  const wrong = ctx.errors?.[b.block_id];
  if (wrong) { d.classList.add('wrong'); d.append(element('div', 'error', escapeHTML(wrong))); }
  if (b.hint) d.append(element('div', 'hint', plain(b.hint, ctx.people, ctx.me)));
  return d;
}

function richText(b, ctx) {
  const styled = (x, html) => {
    if (x.style?.code) html = `<code>${html}</code>`;
    if (x.style?.bold) html = `<b>${html}</b>`;
    if (x.style?.italic) html = `<i>${html}</i>`;
    if (x.style?.strike) html = `<s>${html}</s>`;
    return html;
  };
  const inline = (x) => {
    switch (x.type) {
      case 'text': return styled(x, escapeHTML(x.text).replace(/\n/g, '<br>'));
      case 'emoji': return EMOJI[x.name] ?? `:${x.name}:`;
      case 'user': return mrkdwn(`<@${x.user_id}>`, ctx.people, ctx.me);
      case 'link': return `<a href="${escapeHTML(x.url)}">${escapeHTML(x.text ?? x.url)}</a>`;
      case 'date': return escapeHTML(slackDate(x.timestamp, x.format));
    }
    return '';
  };
  return b.elements.map((e) => {
    const body = () => e.elements.map((x) => (x.elements ? `<li>${x.elements.map(inline).join('')}</li>` : inline(x))).join('');
    switch (e.type) {
      case 'rich_text_list': return e.style === 'ordered' ? `<ol>${body()}</ol>` : `<ul>${body()}</ul>`;
      case 'rich_text_preformatted': return `<pre><code>${body()}</code></pre>`;
      case 'rich_text_quote': return `<blockquote>${body()}</blockquote>`;
    }
    return `<div>${body()}</div>`;
  }).join('');
}
