// What Foz is, for those who come for the first time, and for whoever asks.
import { byId } from './dom.js';

const known = 'foz-introduced';
const svg = 'http://www.w3.org/2000/svg';
const margin = 4; // modules; readers want them

export function introduce(lan_url) {
  const dialog = byId('intro');
  const open = () => dialog.showModal();
  byId('help').addEventListener('click', open);
  byId('second-tab').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', ({ target }) => { if (target === dialog) dialog.close(); }); // beside it
  dialog.addEventListener('close', () => localStorage.setItem(known, 'true'));
  if (lan_url) showPhone(lan_url);
  if (!localStorage.getItem(known)) open();
}

async function showPhone(url) {
  byId('phone').hidden = false;
  byId('lan').textContent = byId('lan').href = url;
  const { qrcode } = await import('./lib/qrcode.js');
  const code = qrcode(0, 'M'); // as large as need be
  code.addData(url);
  code.make();
  byId('qr').replaceChildren(draw(code, 'The address of this page as a QR code'));
}

function draw(code, label) {
  const count = code.getModuleCount();
  const squares = [];
  for (let row = 0; row < count; row += 1)
    for (let column = 0; column < count; column += 1)
      if (code.isDark(row, column)) squares.push(`M${column} ${row}h1v1h-1z`);
  const image = document.createElementNS(svg, 'svg');
  const path = document.createElementNS(svg, 'path');
  image.setAttribute('viewBox', [-margin, -margin, count + 2 * margin, count + 2 * margin].join(' '));
  image.setAttribute('role', 'img');
  image.setAttribute('aria-label', label);
  path.setAttribute('d', squares.join(''));
  image.append(path);
  return image;
}
