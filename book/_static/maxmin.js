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
});
