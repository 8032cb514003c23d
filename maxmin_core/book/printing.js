// What the printed book takes from a rendered page: (options) => [title, HTML of its article, or XHTML with MathML for `epub`].
// options: slug of the page, slugs of all pages by their addresses, solutions (whether they are shown), epub.
async (options) => {
  const article = document.querySelector("article.bd-article").cloneNode(true);
  const all = (what) => [...article.querySelectorAll(what)];
  const drop = (what) => all(what).forEach((node) => node.remove());

  // What only a screen needs: scripts, permalinks, folded code, and the handles of sliders.
  drop("script, .headerlink, button, details.hide, .mm-control");
  if (options.solutions) {
    for (const box of all(".dropdown")) box.classList.remove("dropdown", "toggle");
  } else {
    drop(".solution, .admonition.dropdown");
  }
  for (const details of all("details")) details.open = true;
  for (const cell of all(".cell")) if (!cell.textContent.trim() && !cell.querySelector("img, svg")) cell.remove();

  // A name stands once in a book: every page's get its slug. What a style or a drawing refers to by itself keeps its own.
  const named = (id) => `${options.slug}--${id.replace(/[^A-Za-z0-9_.-]/g, "_")}`;
  for (const node of all("[id]")) if (!node.closest("svg, table[id^='T_']")) node.id = named(node.id);
  // The theme's own names stand more than once.
  const seen = new Set();
  for (const node of all("[id]")) seen.has(node.id) ? node.removeAttribute("id") : seen.add(node.id);
  for (const node of all("label[for]")) node.removeAttribute("for");
  for (const node of all("[aria-labelledby]")) node.removeAttribute("aria-labelledby");

  for (const link of all("a[href]")) {
    const target = new URL(link.getAttribute("href"), document.baseURI);
    const fragment = decodeURIComponent(target.hash.slice(1)).replace(/[^A-Za-z0-9_.-]/g, "_");
    const page = options.slugs[target.origin + target.pathname] || options.slugs[target.protocol + "//" + target.pathname];
    if (page) {
      const place = fragment ? `${page}--${fragment}` : page;
      link.setAttribute("href", options.epub ? `${page}.xhtml${fragment ? `#${place}` : ""}` : `#${place}`);
    } else if (!target.protocol.startsWith("http")) {
      link.replaceWith(...link.childNodes);
    }
  }
  for (const image of all("img")) {
    image.setAttribute("src", image.src);
    image.removeAttribute("loading");
  }
  const title = (article.querySelector("h1") || article).textContent.trim();
  if (!options.epub) return [title, article.innerHTML];

  // A reader of ePub has no MathJax, but knows MathML.
  await MathJax.startup.promise;
  for (const formula of all(".math")) {
    const number = formula.querySelector(".eqno");
    if (number) number.remove();
    const text = formula.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, "");
    const shown = formula.tagName === "DIV";
    const parsed = new DOMParser().parseFromString(MathJax.tex2mml(text, { display: shown }), "text/html").querySelector("math");
    if (parsed.querySelector("merror")) throw new Error(`formula: expected TeX that MathJax reads, got ${text}`);
    for (const node of parsed.querySelectorAll("*")) for (const { name } of [...node.attributes]) if (name.startsWith("data-")) node.removeAttribute(name);
    formula.replaceChildren(document.importNode(parsed, true));
    if (number) formula.append(number);
  }
  drop("style");
  // What XHTML no longer knows.
  for (const name of ["valign", "align", "border", "name", "loading", "role"]) all(`[${name}]`).forEach((node) => node.removeAttribute(name));
  return [title, [...article.childNodes].map((node) => new XMLSerializer().serializeToString(node)).join("")];
}
