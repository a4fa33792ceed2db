"""Renaming a line of a list in its place, in the browser: what the lists of conversations and of training runs share.

`RENAME` goes before the text of a block's `js_on_load`. Knows nothing of what is named.
"""

from __future__ import annotations

# Of a row whose button `.open` shows its name; `keep` is given another one, at most 100 letters long.
RENAME = """
const rename = (row, keep) => {
  const button = row.querySelector('.open');
  const field = document.createElement('input');
  field.value = button.textContent;
  field.className = 'rename';
  field.maxLength = 100;
  field.setAttribute('aria-label', row.querySelector('[data-act=rename]').textContent);
  let over = false;
  const end = (changed) => {
    if (over) return;
    over = true;
    const name = field.value.trim();
    field.replaceWith(button);
    if (changed && name !== button.textContent) keep(name);
    button.focus();
  };
  field.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Enter') end(true);
    if (event.key === 'Escape') end(false);
  });
  field.addEventListener('blur', () => end(true));
  button.replaceWith(field);
  field.focus();
  field.select();
};
"""
