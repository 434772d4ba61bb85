// Only makes things nicer: without this file every link and form below still works.

const root = document.documentElement;
const all = (selector) => document.querySelectorAll(selector);
const parsed = new Promise((go) => {
  if (document.readyState !== 'loading') go();
  else addEventListener('DOMContentLoaded', go, { once: true });
});

// Theme: System, Light or Dark, kept in this browser. Runs before the page is painted (`blocking="render"`).
const chosenTheme = () => {
  try { return localStorage.getItem('theme') ?? 'system'; } catch { return 'system'; }
};

function showTheme() {
  const theme = chosenTheme();
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  else delete root.dataset.theme;
  for (const button of all('[data-set-theme]')) {
    button.setAttribute('aria-pressed', String(button.dataset.setTheme === theme));
  }
}

showTheme();
parsed.then(showTheme);
addEventListener('storage', showTheme);

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-set-theme]');
  if (!button) return;
  try { localStorage.setItem('theme', button.dataset.setTheme); } catch { /* then for this page only */ }
  showTheme();
});

// Dialogs. Browsers that know `command` open them on their own.
document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[commandfor]');
  if (!button || 'commandForElement' in HTMLButtonElement.prototype) return;
  const dialog = document.getElementById(button.getAttribute('commandfor'));
  if (button.getAttribute('command') === 'show-modal') dialog.showModal();
  else dialog.close();
});

// A dialog that the server sent open has no opener to give the focus back to: find it.
document.addEventListener('close', (event) => {
  const { target: dialog } = event;
  const here = document.activeElement;
  if (here !== document.body && !dialog.contains(here)) return;
  document.querySelector(`[commandfor="${dialog.id}"][command="show-modal"]`)?.focus();
}, true);

// After a POST the focus goes to what it said.
parsed.then(() => {
  const dialog = document.querySelector('dialog[data-open-now]');
  dialog?.showModal();
  const problem = (dialog ?? document).querySelector('[role=alert]');
  const news = problem ?? (dialog ? null : document.querySelector('main [role=status]:not(:empty)'));
  news?.focus();
  document.querySelector('[data-select]')?.select();
});

// Copy link. The request starts inside the click, so that Safari still lets us write when the answer comes.
document.addEventListener('submit', async (event) => {
  const { target: form, submitter: button } = event;
  if (!button?.dataset.copyLink || !navigator.clipboard) return;
  event.preventDefault();
  const url = button.formAction;
  const link = fetch(url, {
    method: 'POST',
    headers: { Accept: 'application/json' },
    body: new URLSearchParams(new FormData(form)),
  }).then(async (answer) => {
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()).link;
  });
  try {
    await copy(link);
    button.closest('[popover]')?.hidePopover();
    say(`Link copied. Only ${button.dataset.copyLink} can use it.`);
  } catch {
    form.action = url;
    form.submit();
  }
});

async function copy(link) {
  try {
    const blob = link.then((text) => new Blob([text], { type: 'text/plain' }));
    blob.catch(() => {});
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]);
  } catch {
    await navigator.clipboard.writeText(await link);
  }
}

// Emptied first, so that the same words are read out again.
function say(words) {
  const line = document.getElementById('copied');
  line.textContent = '';
  requestAnimationFrame(() => { line.textContent = words; });
}
