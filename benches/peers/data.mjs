// The same people in both peers, and how the load finds its way: one file of requests for each operation,
// a line each: method, path, cookie, content type, body, with tabs between them.
import { mkdirSync, writeFileSync } from 'node:fs';

export const MEMBERS = 50;
export const PENDING = 20;

const FIRST = ['Amara', 'Bruno', 'Chidi', 'Dana', 'Elif', 'Farid', 'Greta', 'Hiro', 'Ines', 'Jonas'];
const LAST = ['Abend', 'Birk', 'Castell', 'Dorn', 'Eschen', 'Falk', 'Gruber', 'Holm', 'Iversen', 'Jansen'];

export const nameOf = (n) => `${FIRST[n % FIRST.length]} ${LAST[Math.floor(n / FIRST.length) % LAST.length]}`;
export const emailOf = (kind, n) => `${nameOf(n).toLowerCase().replace(' ', '.')}.${kind}${n}@example.test`;

const folder = process.argv[2];
export const port = Number(process.argv[3]);
/** How many invitations wait to be accepted. */
export const accepts = Number(process.argv[4]);

mkdirSync(folder, { recursive: true });
export const database = `${folder}/peer.db`;

export function requests(operation, lines) {
  const text = lines.map((it) => [it.method ?? 'GET', it.path, it.cookie ?? '', it.type ?? '', it.body ?? ''].join('\t'));
  writeFileSync(`${folder}/${operation}.req`, text.join('\n') + '\n');
}
