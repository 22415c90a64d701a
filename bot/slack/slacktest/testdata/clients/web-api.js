// The Web API alone: posts, edits, reads in pages, and how errors and limits arrive.
const { WebClient, ErrorCode, WebClientEvent } = require('@slack/web-api');

const said = (...words) => console.log(words.join(' '));
const options = { slackApiUrl: process.env.SLACK_API_URL, logLevel: 'error' };
const patient = new WebClient(process.env.SLACK_BOT_TOKEN, options);
const hasty = new WebClient(process.env.SLACK_BOT_TOKEN, { ...options, rejectRateLimitedCalls: true, retryConfig: { retries: 0 } });

const refusal = async (call) => {
  try {
    await call();
    return 'was taken';
  } catch (e) {
    if (e.code === ErrorCode.PlatformError) return [e.data.error, ...(e.data.response_metadata?.messages ?? [])].join(' ');
    if (e.code === ErrorCode.RateLimitedError) return `limited, ${e.retryAfter} s`;
    return `${e.code} ${e.statusCode ?? ''}`.trim();
  }
};

(async () => {
  const who = await patient.auth.test();
  said('auth', who.user_id, who.bot_id, who.team_id, who.response_metadata.scopes.includes('chat:write'));

  const blocks = [{ type: 'section', text: { type: 'mrkdwn', text: 'with blocks' } }];
  const metadata = { event_type: 'pgupgrade_message', event_payload: { run: 'r1' } };
  const { ts } = await patient.chat.postMessage({ channel: 'C1', text: 'root', blocks, metadata });
  for (const n of [1, 2, 3]) await patient.chat.postMessage({ channel: 'C1', text: `message ${n}` });
  await patient.chat.postMessage({ channel: 'C1', thread_ts: ts, text: 'reply', reply_broadcast: true });
  const edited = await patient.chat.update({ channel: 'C1', ts, text: 'root, edited' });
  said('edited', edited.text, edited.message.blocks === undefined, edited.message.metadata.event_payload.run);

  const pages = [];
  for await (const page of patient.paginate('conversations.history', { channel: 'C1', limit: 2 })) pages.push(page.messages.map((m) => m.text).join(', '));
  said('pages', pages.join(' | '));
  const { permalink } = await patient.chat.getPermalink({ channel: 'C1', message_ts: ts });
  said('permalink', permalink.endsWith(`/C1/p${ts.replace('.', '')}`));

  said('nowhere:', await refusal(() => hasty.chat.postMessage({ channel: 'C9', text: 'x' })));
  said('too long:', await refusal(() => hasty.chat.update({ channel: 'C1', ts, text: 'x'.repeat(4001) })));
  said('no header:', await refusal(() => hasty.chat.postMessage({ channel: 'C1', text: 'x', blocks: [{ type: 'header', text: { type: 'plain_text', text: 'x'.repeat(151) } }] })));
  said('no trigger:', await refusal(() => hasty.views.open({ trigger_id: '1.2.3', view: { type: 'modal', title: { type: 'plain_text', text: 'x' }, blocks } })));
  said('wrong token:', await refusal(() => new WebClient('xoxb-wrong', options).auth.test()));

  let posted = 0;
  let outcome;
  do outcome = await refusal(() => hasty.chat.postMessage({ channel: 'C1', text: `burst ${posted++}` }));
  while (outcome === 'was taken');
  said('burst:', posted, outcome);

  // What the test has staged for these methods: each goes wrong once.
  patient.on(WebClientEvent.RATE_LIMITED, (seconds, { url }) => said('waits', seconds, new URL(url, options.slackApiUrl).pathname.split('/').pop()));
  said('after a limit:', (await patient.users.info({ user: 'U1' })).user.name);
  said('server error:', await refusal(() => hasty.conversations.info({ channel: 'C1' })));
  said('reset:', await refusal(() => hasty.conversations.members({ channel: 'C1' })));
  said('malformed:', (await refusal(() => hasty.users.list({}))) !== 'was taken');
  said('done');
})().catch((e) => said('error', e.stack));
