// The example tenant of `heimdall up`, as its people see it.
import { call, linkIn } from './support.mjs';

export const app = 'acme';
export const login = async (h, who = h.example.requester) =>
  (await call('POST', `${h.api}/v1/apps/${app}/sessions`, { json: { email: who.email, password: who.password } })).json.access_token;
export const ask = (h, token, over = {}) => call('POST', `${h.approvals}/v1/apps/${app}/requests`, {
  token, json: { roles: [h.example.requestable_role], justification: 'Month-end run', duration_minutes: 60, ...over },
});
export const request = (h, token, id) => call('GET', `${h.approvals}/v1/apps/${app}/requests/${id}`, { token });
export const invoices = (h, token) => call('GET', `${h.proxy}/billing/invoices`, { token });
export const bearerOf = (mail) => new URL(linkIn(mail)).searchParams.get('token');
export const approve = (h, id, bearer) => call('POST', `${h.approvals}/api/pending-approvals/${id}/approve`, { token: bearer });
export const deny = (h, id, bearer, reason = 'Not this month') =>
  call('POST', `${h.approvals}/api/pending-approvals/deny`, { token: bearer, json: { sessionId: id, denialReason: reason } });
/** The mail to the approver about this session. */
export const mailAbout = (smtp, h, id, options) =>
  smtp.mail((m) => m.to.includes(h.example.approver.email) && m.mail.text.includes(String(id)), options).then((m) => m.mail);
/** What a problem says is wrong: [status, field]. */
export const fault = (answer) => [answer.status, answer.json?.error?.details?.[0]?.field];
