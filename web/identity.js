// Each tab is a client of its own: the plugin keeps its secret, and what is not sent yet, in sessionStorage, so that a
// reload is the same client. Browsers copy sessionStorage into a tab that is duplicated: the copy becomes somebody else.
const own = ['foz.', 'foz-written'];

// A tab that is told that its secret is taken loads itself anew, without it.
export function watchForCopies() {
  if (!globalThis.BroadcastChannel) return;
  const page = Math.random();
  const others = new BroadcastChannel('foz-tabs');
  others.onmessage = ({ data }) => {
    if (data.page === page || data.secret !== sessionStorage.getItem('foz.resume')) return;
    if (data.taken) becomeSomebodyElse();
    else others.postMessage({ page, secret: data.secret, taken: true });
  };
  const secret = sessionStorage.getItem('foz.resume');
  if (secret) others.postMessage({ page, secret });
}

function becomeSomebodyElse() {
  for (const key of Object.keys(sessionStorage)) if (own.some((prefix) => key.startsWith(prefix))) sessionStorage.removeItem(key);
  location.reload();
}
