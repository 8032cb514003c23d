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
  // What scrolls sideways on a small screen can be reached and moved by the keyboard.
  for (const box of document.querySelectorAll(".pst-scrollable-table-container, .cell_output .text_html, div.highlight pre")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
