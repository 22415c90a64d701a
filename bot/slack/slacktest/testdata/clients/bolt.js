// Bolt as its documentation has it, with one thing changed: where Slack is. It
// answers a command with a message, a press with a modal, a modal with an edit,
// and prints a line for each thing that it saw.
const { App } = require('@slack/bolt');

const said = (...words) => console.log(words.join(' '));
const app = new App({
  token: process.env.SLACK_BOT_TOKEN,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: true,
  logLevel: 'error',
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});
let root;

const plain = (text) => ({ type: 'plain_text', text });
const question = (text) => [
  { type: 'section', text: { type: 'mrkdwn', text } },
  { type: 'actions', elements: [{ type: 'button', action_id: 'approve', value: 'run-1', text: plain('Approve') }] },
];
const modal = {
  type: 'modal', callback_id: 'typed', private_metadata: 'run-1', notify_on_close: true,
  title: plain('Approve'), submit: plain('Approve'), close: plain('Back'),
  blocks: [{ type: 'input', block_id: 'name', label: plain('Name of the app'), element: { type: 'plain_text_input', action_id: 'value' } }],
};

app.command('/pgupgrade', async ({ command, ack, client, respond }) => {
  await ack({ text: `Looking at ${command.text}.` });
  root = await client.chat.postMessage({ channel: command.channel_id, text: `May ${command.text} begin?`, blocks: question(`May *${command.text}* begin?`) });
  await client.chat.postMessage({ channel: command.channel_id, thread_ts: root.ts, text: 'Findings: none.' });
  await respond({ text: 'Asked.' });
  said('command', command.user_id, command.channel_id, command.text);
});

app.action('approve', async ({ ack, action, body, client }) => {
  await ack();
  const { view } = await client.views.open({ trigger_id: body.trigger_id, view: modal });
  said('action', body.user.id, action.value, body.container.message_ts === root.ts, view.callback_id);
});

app.view('typed', async ({ ack, view, body, client }) => {
  const typed = view.state.values.name.value.value;
  if (typed !== 'orders') {
    await ack({ response_action: 'errors', errors: { name: `${typed} is another app` } });
    said('refused', typed);
    return;
  }
  await ack();
  await client.chat.update({ channel: root.channel, ts: root.ts, text: `Approved by <@${body.user.id}>`, blocks: [] });
  const { messages } = await client.conversations.history({ channel: root.channel });
  const thread = await client.conversations.replies({ channel: root.channel, ts: root.ts });
  said('submitted', view.private_metadata, typed);
  said('history', messages.map((m) => m.text).join(' | '));
  said('thread', thread.messages.map((m) => m.text).join(' | '));
});

app.view({ callback_id: 'typed', type: 'view_closed' }, async ({ ack, body }) => {
  await ack();
  said('closed', body.user.id, body.is_cleared);
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({ user_id: event.user, view: { type: 'home', blocks: [{ type: 'section', text: plain('No upgrade is under way.') }] } });
  said('event', event.type, event.user);
});

app.error(async (e) => said('error', e.code, e.message));

app.start().then(() => said('started'));
process.stdin.resume().on('end', async () => {
  await app.stop();
  said('stopped');
  process.exit(0);
});
