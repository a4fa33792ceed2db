"""What the Chat tab does in the browser by itself: drawers, keys, focus, the list's menus, the viewer, the clipboard.

Each text is the `js_on_load` of one HTML block. A listener on the document is replaced when its block is built anew,
as happens when the reader comes back to the tab.
"""

from __future__ import annotations

from ui.rename_script import RENAME

# Panels that open over the page, one at a time: body[data-drawer] names the open one. Keys for the whole page.
PAGE = """
const $ = (selector) => document.querySelector(selector);
const panels = {models: '#models-panel', share: '#share-panel', settings: '#chat-settings', list: '#conversations',
  evidence: '#evidence'};
const narrow = () => window.matchMedia('(max-width: 900px)').matches;
let opener = null;

const openDrawer = (name, from) => {
  if (name === 'list' && !narrow()) {
    document.body.classList.toggle('no-list');
    return;
  }
  opener = from ?? document.activeElement;
  document.body.dataset.drawer = name;
  const panel = $(panels[name]);
  panel?.setAttribute('role', 'dialog');
  panel?.setAttribute('aria-label', from?.getAttribute('aria-label') || from?.title || from?.innerText.trim());
  const folded = from?.dataset?.unfold && document.getElementById(from.dataset.unfold)?.querySelector('button');
  if (folded && !folded.classList.contains('open')) folded.click();
  setTimeout(() => panel?.querySelector('.drawer-close, button, input, textarea')?.focus(), 60);
};
const closeDrawer = () => {
  const name = document.body.dataset.drawer;
  if (!name) return false;
  delete document.body.dataset.drawer;
  $(panels[name])?.removeAttribute('role');
  if (opener?.isConnected) opener.focus();
  return true;
};
window.taller = Object.assign(window.taller ?? {}, {openDrawer, closeDrawer, narrow});

const onClick = (event) => {
  const button = event.target.closest('[data-drawer]:not(body), #open-settings');
  if (button) {
    const name = button.dataset.drawer ?? 'settings';
    if (document.body.dataset.drawer === name) closeDrawer(); else openDrawer(name, button);
    return;
  }
  if (event.target.closest('.drawer-close')) return void closeDrawer();
  if (event.target.closest('#new-conversation')) {
    closeDrawer();
    if (!narrow()) $('#question textarea')?.focus();
    return;
  }
  const open = document.body.dataset.drawer;
  const within = `${panels[open]}, .options, [role=listbox]`;
  if (open && event.target.isConnected && !event.target.closest(within)) closeDrawer();
};
const onKey = (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    $('#new-conversation')?.click();
  } else if (event.key === 'Escape' && !event.defaultPrevented) {
    if (event.target.closest?.('[aria-expanded="true"], .rename')) return;  // closes its own list
    const menu = $('details.menu[open]');
    if (menu) {
      menu.open = false;
      menu.querySelector('summary').focus();
    } else if (!closeDrawer()) {
      const stop = $('#question button.stop-button');
      if (stop?.checkVisibility()) stop.click();
    }
  }
};
for (const [name, listener] of [['click', onClick], ['keydown', onKey]]) {
  const early = name === 'keydown';  // before an open list has closed itself
  if (window.taller[name]) document.removeEventListener(name, window.taller[name], early);
  window.taller[name] = listener;
  document.addEventListener(name, listener, early);
}
"""

# The conversation: its window's memory, drops, the clipboard, and names for those who do not see it. `texts` are the
# page's own words, in data attributes of the block.
CONVERSATION = """
const zone = element.closest('#conversation');
const words = element.querySelector(`[data-words=${document.documentElement.lang}]`)?.dataset ?? {};
zone?.addEventListener('dragover', (event) => event.preventDefault());
zone?.addEventListener('drop', (event) => {
  const input = zone.querySelector('#question input[type=file]');
  if (event.target.closest('#question') || !event.dataTransfer.files.length || !input) return;
  event.preventDefault();
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event('change', {bubbles: true}));
});

// The answer as the model wrote it, without what the page made of it.
const written = (text) => text.replace(/<a href="#doubt"[^>]*>\\?<\\/a>/g, '')
  .replace(/\\[\\[(\\d{1,3})\\]\\]\\(#source-\\d+-\\d+\\)/g, '[$1]')
  .replace(/<span class="aside[^"]*">(.*?)<\\/span>/gs, (_, inner) =>
    new DOMParser().parseFromString(inner, 'text/html').documentElement.textContent)
  .replace(/!&#91;/g, '![').replace(/&lt;(?=[a-zA-Z/!?])/g, '<');
if (navigator.clipboard && !window.taller?.cleansClipboard) {
  const write = navigator.clipboard.writeText.bind(navigator.clipboard);
  navigator.clipboard.writeText = (text) => write(written(text));
  (window.taller ??= {}).cleansClipboard = true;
}

// Gradio reads the whole raw message out as a name, announces every token, and names its buttons in English.
const set = (node, name, value) => { if (node && node.getAttribute(name) !== value) node.setAttribute(name, value); };
const call = (node, name) => { if (name) { set(node, 'aria-label', name); set(node, 'title', name); } };
const mend = () => {
  const box = document.querySelector('#messages');
  if (!box) return;
  const log = box.querySelector('[role=log]');
  set(log, 'aria-live', 'off');
  set(log, 'aria-label', words.log);
  for (const node of box.querySelectorAll('[data-testid=user][aria-label], [data-testid=bot][aria-label]')) {
    set(node, 'aria-label', node.dataset.testid === 'user' ? words.you : words.answer);
    set(node, 'role', 'group');
  }
  for (const [label, name] of [['Copy message', words.copy], ['Copied message', words.copied]]) {
    for (const button of box.querySelectorAll(`button[aria-label="${label}"]`)) call(button, name);
  }
  for (const button of box.querySelectorAll('button.copy_code_button[title=copy]')) call(button, words.copyCode);
  for (const title of box.querySelectorAll('.thought-group .title button')) call(title, words.fold);
  for (const [kind, name] of [['upload', words.attach], ['submit', words.send], ['stop', words.stop]]) {
    call(document.querySelector(`#question button.${kind}-button`), name);
  }
};
window.taller?.watcher?.disconnect();
let waiting = 0;  // not with each token: a long conversation has thousands of elements to look through
const watcher = new MutationObserver(() => { waiting ||= setTimeout(() => { waiting = 0; mend(); }, 300); });
const watched = {subtree: true, childList: true, attributes: true, attributeFilter: ['aria-label', 'aria-live']};
if (zone) watcher.observe(zone, watched);  // the messages come later
(window.taller ??= {}).watcher = watcher;
mend();
"""

# The bar above the messages: which conversation is open is remembered by the window, and by the browser for new ones.
REMEMBER = """
const KEY = 'taller_conversation';
const remember = () => {
  const bar = element.querySelector('[data-conversation]');
  if (!bar) return;
  for (const store of [sessionStorage, localStorage]) {
    try { store.setItem(KEY, bar.dataset.conversation); } catch { /* a browser that keeps nothing */ }
  }
};
watch('value', remember);
"""
# What `restore` is asked with when the page is loaded.
RECALL = """
() => {
  const KEY = 'taller_conversation';
  let id = null;
  try { id = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY); } catch { /* the same */ }
  return [id ?? ''];
}
"""

# A citation in an answer, a card, a button of the viewer: all show a source.
EVIDENCE = """
if (window.tallerShowSource) document.removeEventListener('click', window.tallerShowSource, true);
window.tallerShowSource = (event) => {
  const link = event.target.closest('#messages a[href^="#"], #messages a[href*="#source-"]');
  const card = event.target.closest('#sources button[data-number]');
  if (!link && !card) return;
  event.preventDefault();
  event.stopPropagation();
  if (link?.classList.contains('doubt')) { link.classList.toggle('said'); return; }
  const place = link?.getAttribute('href').split('#source-')[1];
  if (link && !place) return;
  const [turn, number] = link ? place.split('-').map(Number) : [Number(card.dataset.turn), Number(card.dataset.number)];
  trigger('click', {turn, number});
  if (link && window.taller?.narrow()) window.taller.openDrawer('evidence', link);
};
document.addEventListener('click', window.tallerShowSource, true);
"""

VIEWER = """
let zoom = 1;
let at = '';
let focused = '';
const apply = () => {
  const figure = element.querySelector('figure.page');
  if (figure) figure.style.setProperty('--zoom', zoom);
  const out = element.querySelector('button[data-zoom="-1"]');
  const into = element.querySelector('button[data-zoom="1"]');
  if (out) { out.disabled = zoom <= 0.5; into.disabled = zoom >= 4; }
};
const toPassage = () => {
  const figure = element.querySelector('figure.page');
  const picture = figure?.querySelector('img');
  const mark = figure?.querySelector('mark');
  if (mark) figure.scrollTop = mark.offsetTop - figure.offsetTop - 40;
  else if (picture) figure.scrollTop = Number(figure.dataset.top) * picture.offsetHeight - 60;
};
watch('value', () => {
  const shown = element.querySelector('.viewer')?.dataset.at ?? '';
  apply();
  if (shown === at) return;
  at = shown;
  const picture = element.querySelector('figure.page img');
  if (picture && !picture.complete) picture.addEventListener('load', toPassage, {once: true});
  requestAnimationFrame(toPassage);
  const button = focused && element.querySelector(`button[data-key="${focused}"]`);
  if (button) (button.disabled ? element.querySelector('figure.page') : button)?.focus();
});
const turn = (values) => {
  const viewer = element.querySelector('.viewer').dataset;
  trigger('click', {turn: Number(viewer.turn), number: Number(viewer.number), ...values});
};
const magnify = (step) => {
  zoom = step === 0 ? 1 : Math.min(4, Math.max(0.5, zoom * (step > 0 ? 1.25 : 0.8)));
  apply();
  if (step === 0) toPassage();
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-key]');
  if (!button) return;
  focused = button.dataset.key;
  if (button.dataset.zoom) magnify(Number(button.dataset.zoom));
  else if (button.dataset.page) turn({page: Number(button.dataset.page)});
  else turn({number: Number(button.dataset.source)});
});
element.addEventListener('keydown', (event) => {
  if (event.target.closest('button') || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = {'+': '[data-zoom="1"]', '-': '[data-zoom="-1"]', '0': '[data-zoom="0"]',
    'PageDown': '[data-key="chat.page_after"]', 'PageUp': '[data-key="chat.page_before"]'}[event.key];
  if (!button) return;
  event.preventDefault();
  element.querySelector(`button${button}`)?.click();
  focused = '';
});
"""

# The list of conversations: 'select' for what leaves the open one, so that its running answer ends; 'click' for the
# rest; a click event with `act`.
LIST = RENAME + """
const act = (row, name, value = '') => {
  const current = row?.hasAttribute('data-current');
  const leaves = name === 'open' || (name === 'delete' && current);
  const id = row?.dataset.id ?? element.querySelector('[data-undo]')?.dataset.undo ?? '';
  trigger(leaves ? 'select' : 'click', {act: name, id, value});
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  const row = button.closest('[data-id]');
  const menu = button.closest('details');
  if (menu) menu.open = false;
  if (button.dataset.act === 'rename') return rename(row, (name) => act(row, 'rename', name));
  act(row, button.dataset.act);
  if (button.dataset.act === 'open' && window.taller?.narrow()) window.taller.closeDrawer();
});
if (window.tallerMenus) document.removeEventListener('click', window.tallerMenus);
window.tallerMenus = (event) => {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
};
document.addEventListener('click', window.tallerMenus);
"""

# A file for the reader: the block holds its name, kind and text.
DOWNLOAD = """
watch('value', () => {
  const file = element.querySelector('[data-file]');
  if (!file) return;
  const address = URL.createObjectURL(new Blob([file.textContent], {type: file.dataset.type}));
  const link = Object.assign(document.createElement('a'), {href: address, download: file.dataset.file});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
});
"""

# The end of an answer is said once, and the question box has the focus again unless the reader went elsewhere.
FINISHED = """
watch('value', () => {
  const focus = document.activeElement;
  if (!focus || focus === document.body || focus.closest('#question, #messages')) {
    if (!window.taller?.narrow()) document.querySelector('#question textarea')?.focus({preventScroll: true});
  }
});
"""
