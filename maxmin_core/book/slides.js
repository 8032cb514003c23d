// What a chapter's slides take from its rendered page: (options) => title, slides with their headings, pictures and captions, and
// the list of what was seen, formulas as MathML.
async () => {
  await MathJax.startup.promise;
  const article = document.querySelector("article.bd-article");
  const inner = (node) => {
    const copy = node.cloneNode(true);
    copy.querySelectorAll(".headerlink, script, .caption-number:empty").forEach((part) => part.remove());
    for (const formula of copy.querySelectorAll(".math")) {
      const text = formula.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, "");
      formula.innerHTML = MathJax.tex2mml(text, { display: formula.tagName === "DIV" });
    }
    for (const link of copy.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    for (const part of copy.querySelectorAll("[id]")) part.removeAttribute("id");
    return copy.innerHTML;
  };
  const section = (node) => node.closest("section").querySelector("h1, h2, h3");
  const slides = [...article.querySelectorAll("figure:not(.mm-slider) img")].map((image) => {
    const figure = image.closest("figure");
    const caption = figure.querySelector("figcaption");
    return { heading: inner(section(figure)), src: image.src, alt: image.alt, caption: caption ? inner(caption) : "" };
  });
  const seen = [...article.querySelectorAll("h2")].find((heading) => heading.textContent.includes("What we saw"));
  const points = seen ? [...seen.closest("section").querySelectorAll("li")].map(inner) : [];
  return { title: inner(article.querySelector("h1")), slides, points };
}
