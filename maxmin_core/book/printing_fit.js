// Nothing on paper scrolls: what is wider than a line is drawn smaller. Returns what is still too wide.
() => {
  const book = document.querySelector(".mm-book");
  for (const table of book.querySelectorAll("table")) {
    const room = table.parentElement.closest("div, section, dd, li, td").clientWidth;
    if (table.scrollWidth > room) table.style.zoom = Math.max(0.4, (0.99 * room) / table.scrollWidth);
  }
  for (const formula of book.querySelectorAll("mjx-container[display='true']")) {
    const drawn = formula.querySelector("mjx-math").getBoundingClientRect().width;
    const room = formula.parentElement.clientWidth;
    if (drawn > room) formula.style.zoom = Math.max(0.4, (0.98 * room) / drawn);
  }
  const edge = book.getBoundingClientRect().right + 2;
  return [...book.querySelectorAll("table, pre, img, figure, mjx-math, p")]
    .filter((node) => node.getBoundingClientRect().right > edge)
    .map((node) => `${node.closest(".mm-page").id}: ${node.tagName} ${node.textContent.trim().slice(0, 60)}`);
}
