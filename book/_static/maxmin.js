// The JupyterHub button: every reader's hub has another address, so ask once and remember the answer.
document.addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll('a[href^="https://your-hub.invalid"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const known = localStorage.getItem("maxmin-hub") || "";
      const answer = window.prompt("Address of your JupyterHub (with nbgitpuller), for example https://hub.your-university.edu", known);
      if (!answer) return;
      let hub;
      try {
        hub = new URL(answer.includes("://") ? answer : "https://" + answer);
      } catch {
        window.alert("This is not a web address: " + answer);
        return;
      }
      localStorage.setItem("maxmin-hub", hub.href);
      window.open(link.href.replace("https://your-hub.invalid", hub.href.replace(/\/$/, "")), "_blank", "noopener");
    });
  }

  // Accessible names as they are seen: the theme gives some controls another name than their text, and a list of
  // references whose children are not list items.
  for (const summary of document.querySelectorAll("details > summary[aria-label]")) summary.removeAttribute("aria-label");
  for (const button of document.querySelectorAll(".search-button-field[aria-label]")) button.removeAttribute("aria-label");
  for (const list of document.querySelectorAll("div.citation-list[role=list]")) list.removeAttribute("role");
  // What scrolls sideways on a small screen can be reached and moved by the keyboard, and fades until its end is seen.
  const scrolls = (selector) => {
    for (const box of document.querySelectorAll(selector)) {
      if (box.scrollWidth <= box.clientWidth + 1) continue;
      box.tabIndex = 0;
      const more = () => box.classList.toggle("mm-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
      box.addEventListener("scroll", more, { passive: true });
      more();
    }
  };
  scrolls(".pst-scrollable-table-container, .cell_output .text_html, div.highlight pre");
  // Formulas, once they are typeset; one in a line of text becomes a box of its own where the line is too short for it.
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => {
    for (const formula of document.querySelectorAll(".bd-article p mjx-container:not([display=true])")) {
      if (formula.offsetWidth > formula.closest("p").clientWidth) formula.classList.add("mm-wide");
    }
    scrolls("mjx-container[display=true], mjx-container.mm-wide");
  }));

  // A theorem has an address, as a heading has.
  for (const title of document.querySelectorAll("div.proof[id] > p.admonition-title")) {
    const link = Object.assign(document.createElement("a"), { className: "headerlink", href: "#" + title.parentElement.id, textContent: "#" });
    link.title = "Link to this " + (title.textContent.trim().split(" ")[0] || "statement").toLowerCase();
    title.append(link);
  }

  // One switch for all code of a page. At first what carries the text is shown and the rest is folded; then all is hidden, or all shown.
  const buttons = document.querySelector(".article-header-buttons");
  if (buttons && document.querySelector(".bd-article .cell_input")) {
    const button = Object.assign(document.createElement("button"), { className: "btn btn-sm mm-code", type: "button" });
    button.innerHTML = '<span class="btn__icon-container"><i class="fas fa-code"></i></span>';
    const told = (hidden) => {
      button.title = hidden ? "Show all code" : "Hide all code";
      button.setAttribute("aria-label", button.title);
    };
    told(false);
    button.addEventListener("click", () => {
      const hidden = document.documentElement.classList.toggle("mm-no-code");
      for (const box of document.querySelectorAll("details.above-input")) box.open = !hidden;
      told(hidden);
    });
    buttons.prepend(button);
  }

  // An excerpt among the results of a search says what a page tells, not what its first cell imports.
  if (typeof Search !== "undefined") {
    const whole = Search.htmlToText;
    Search.htmlToText = (page, anchor) => whole.call(Search, page.replace(/<details class="[^"]*above-input[^]*?<\/details>/g, ""), anchor);
  }
});
