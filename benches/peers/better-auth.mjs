// better-auth's organization plugin on better-sqlite3, as its documentation sets it up. Off: the limit on requests, the
// cookie that saves looking the session up, and every limit on members and invitations.
import { createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { organization } from 'better-auth/plugins';
import Database from 'better-sqlite3';
import { MEMBERS, PENDING, accepts, database, emailOf, nameOf, port, requests } from './data.mjs';

const secret = randomBytes(32).toString('hex');
const db = new Database(database);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
const many = 1_000_000;
const options = {
  database: db,
  secret,
  baseURL: `http://127.0.0.1:${port}`,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  session: { cookieCache: { enabled: false } },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [organization({ membershipLimit: many, invitationLimit: many, organizationLimit: many })],
};
await (await getMigrations(options)).runMigrations();

const id = () => randomBytes(16).toString('hex');
const now = new Date().toISOString();
const later = new Date(Date.now() + 7 * 86_400_000).toISOString();
const insert = (table, columns) =>
  db.prepare(`INSERT INTO "${table}" (${columns.map((it) => `"${it}"`)}) VALUES (${columns.map(() => '?')})`);
const user = insert('user', ['id', 'name', 'email', 'emailVerified', 'createdAt', 'updatedAt']);
const session = insert('session', ['id', 'expiresAt', 'token', 'createdAt', 'updatedAt', 'ipAddress', 'userAgent', 'userId', 'activeOrganizationId']);
const org = insert('organization', ['id', 'name', 'slug', 'createdAt']);
const member = insert('member', ['id', 'organizationId', 'userId', 'role', 'createdAt']);
const invitation = insert('invitation', ['id', 'organizationId', 'email', 'role', 'status', 'expiresAt', 'createdAt', 'inviterId']);

function person(kind, n) {
  const it = { id: id(), name: nameOf(n), email: emailOf(kind, n) };
  user.run(it.id, it.name, it.email, 1, now, now);
  return it;
}
function cookie(who, organizationId) {
  const token = id();
  session.run(id(), later, token, now, now, '', '', who.id, organizationId);
  const signature = createHmac('sha256', secret).update(token).digest('base64');
  return `better-auth.session_token=${encodeURIComponent(`${token}.${signature}`)}`;
}
function found(slug, owner) {
  const it = id();
  org.run(it, `Organization ${slug}`, slug, now);
  member.run(id(), it, owner.id, 'owner', now);
  return it;
}
function invite(organizationId, by, email) {
  const it = id();
  invitation.run(it, organizationId, email, 'member', 'pending', later, now, by.id);
  return it;
}

db.transaction(() => {
  const owner = person('owner', 0);
  const team = found('team', owner);
  for (let n = 1; n < MEMBERS; n++) member.run(id(), team, person('member', n).id, 'member', now);
  for (let n = 0; n < PENDING; n++) invite(team, owner, emailOf('guest', n));
  const signedIn = cookie(owner, team);
  const get = (path) => ({ path: `/api/auth/${path}`, cookie: signedIn });
  const lists = [get(`organization/list-members?limit=100&organizationId=${team}`), get(`organization/list-invitations?organizationId=${team}`)];
  requests('team', lists);
  requests('session', [get('get-session')]);

  // Spread over a hundred organizations: this library reads all pending invitations of one before it makes another.
  const owners = Array.from({ length: 100 }, (_, n) => person('inviter', n));
  const places = owners.map((it, n) => found(`writes${n}`, it));
  const post = (path, cookie, body) => ({ method: 'POST', path: `/api/auth/${path}`, cookie, type: 'application/json', body: JSON.stringify(body) });
  requests('invite', owners.map((it, n) =>
    post('organization/invite-member', cookie(it, places[n]), { email: 'new{n}@example.test', role: 'member', organizationId: places[n] })));
  requests('accept', Array.from({ length: accepts }, (_, n) => {
    const guest = person('accepting', n);
    const invited = invite(places[n % 100], owners[n % 100], guest.email);
    return post('organization/accept-invitation', cookie(guest, null), { invitationId: invited });
  }));
})();

const handler = toNodeHandler(betterAuth(options));
createServer(handler).listen(port, '127.0.0.1');
