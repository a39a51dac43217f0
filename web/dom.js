// The little that this page needs of a toolkit. Texts are only ever set as text.

export const byId = (id) => document.getElementById(id);

export function make(tag, { text, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

// It is read aloud at every change.
export function setText(element, text) { if (element.textContent !== text) element.textContent = text; }

// A section's line for what went wrong: shown until something else is tried.
export function complaints(element) {
  return {
    show: (error) => { element.textContent = error.message; element.hidden = false; },
    clear: () => { element.hidden = true; element.textContent = ''; },
  };
}

// JSON that the page keeps in a storage; what can't be read is as good as nothing.
export function kept(storage, key, otherwise) {
  try { return JSON.parse(storage.getItem(key)) ?? otherwise; } catch { return otherwise; }
}

// One of a few colours for a person, always the same.
function tint(client) {
  let sum = 0;
  for (const c of client) sum = (sum * 31 + c.charCodeAt(0)) % 6;
  return String(sum);
}

export function badge(client, name) {
  const element = make('span', { className: 'badge', text: ([...name.trim()][0] ?? '?').toUpperCase() });
  element.dataset.tint = tint(client);
  element.setAttribute('aria-hidden', 'true');
  return element;
}
