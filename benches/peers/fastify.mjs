// Fastify with EJS and better-sqlite3: the Team page as many would write it. Session, membership, both lists from the
// database for each request; prepared statements, the template compiled once, no log.
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';
import ejs from 'ejs';
import Fastify from 'fastify';
import { MEMBERS, PENDING, database, emailOf, nameOf, port, requests } from './data.mjs';

const db = new Database(database);
db.pragma('journal_mode = WAL');
db.exec(`
  CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE sessions (token TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users, expires_at INTEGER NOT NULL) STRICT;
  CREATE TABLE organizations (id TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL) STRICT;
  CREATE TABLE members (organization_id TEXT NOT NULL REFERENCES organizations, user_id TEXT NOT NULL REFERENCES users,
    name TEXT NOT NULL, role TEXT NOT NULL, joined_at INTEGER NOT NULL, active_at INTEGER,
    PRIMARY KEY (organization_id, user_id)) STRICT;
  CREATE INDEX members_by_name ON members (organization_id, name, user_id);
  CREATE TABLE invitations (id TEXT PRIMARY KEY, organization_id TEXT NOT NULL REFERENCES organizations, email TEXT NOT NULL,
    role TEXT NOT NULL, state TEXT NOT NULL, invited_by TEXT NOT NULL REFERENCES users, sent_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL) STRICT;
  CREATE INDEX pending ON invitations (organization_id, expires_at) WHERE state = 'pending';
`);
const id = () => randomBytes(16).toString('hex');
const day = 86_400_000;
const token = id();
db.transaction(() => {
  const now = Date.now();
  const organization = id();
  db.prepare('INSERT INTO organizations VALUES (?, ?, ?)').run(organization, 'team', 'Team');
  const people = Array.from({ length: MEMBERS }, (_, n) => ({ id: id(), name: nameOf(n), email: emailOf('member', n) }));
  people.forEach((it, n) => {
    db.prepare('INSERT INTO users VALUES (?, ?, ?)').run(it.id, it.name, it.email);
    db.prepare('INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)')
      .run(organization, it.id, it.name, n === 0 ? 'owner' : 'member', now - n * day, now - n * 3_600_000);
  });
  for (let n = 0; n < PENDING; n++) {
    db.prepare('INSERT INTO invitations VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(id(), organization, emailOf('guest', n), 'member', 'pending', people[0].id, now - n * day / 4, now + 7 * day - n * day / 4);
  }
  db.prepare('INSERT INTO sessions VALUES (?, ?, ?)').run(token, people[0].id, now + 14 * day);
})();
requests('team', [{ path: '/orgs/team/settings/team', cookie: `session=${token}` }]);

const visitor = db.prepare('SELECT u.* FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token = ? AND s.expires_at > ?');
const place = db.prepare(`SELECT o.*, m.role FROM organizations o JOIN members m ON m.organization_id = o.id
  WHERE o.slug = ? AND m.user_id = ?`);
const members = db.prepare(`SELECT m.*, u.email FROM members m JOIN users u ON u.id = m.user_id
  WHERE m.organization_id = ? ORDER BY m.name, m.user_id LIMIT 50`);
const invitations = db.prepare(`SELECT i.*, u.name AS inviter FROM invitations i JOIN users u ON u.id = i.invited_by
  WHERE i.organization_id = ? AND i.state = 'pending' AND i.expires_at > ? ORDER BY i.expires_at DESC LIMIT 25`);

const page = ejs.compile(readFileSync(new URL('team.ejs', import.meta.url), 'utf8'));
// "3 days ago", "in 4 days": in the largest unit that fits, by plain arithmetic: Roster shows no more, and Intl takes its time.
const UNITS = [['month', 2_592_000], ['day', 86_400], ['hour', 3_600], ['minute', 60]];
function relative(at, now) {
  const seconds = Math.abs(at - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (seconds >= length) {
      const count = Math.floor(seconds / length);
      const words = count === 1 ? `1 ${unit}` : `${count} ${unit}s`;
      return at > now ? `in ${words}` : `${words} ago`;
    }
  }
  return 'just now';
}
const initials = (name) => name.split(' ').map((word) => word[0]).join('');

const app = Fastify();
app.get('/orgs/:slug/settings/team', (request, reply) => {
  const now = Date.now();
  const sent = /(?:^|; )session=([0-9a-f]+)/.exec(request.headers.cookie ?? '')?.[1];
  const me = sent && visitor.get(sent, now);
  if (!me) return reply.redirect('/sign-in', 303);
  const organization = place.get(request.params.slug, me.id);
  if (!organization) return reply.code(404).send('Not found');
  const html = page({
    me, organization, initials,
    members: members.all(organization.id),
    invitations: invitations.all(organization.id, now),
    when: (at) => relative(at, now),
  });
  return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(html);
});
await app.listen({ port, host: '127.0.0.1' });
