// Moves the bars or curves of every .mm-slider figure on the page to the frame that its sliders and lists select.
(function () {
  for (const figure of document.querySelectorAll("figure.mm-slider:not([data-ready])")) {
    const source = figure.querySelector('script[type="application/json"]');
    if (!source) continue;
    figure.dataset.ready = "1";
    const data = JSON.parse(source.textContent);
    const inputs = [...figure.querySelectorAll("input[type=range], .mm-control select")];
    const update = () => {
      let index = 0;
      inputs.forEach((input, k) => {
        const position = Number(input.value);
        const printed = data.positions[k][position];
        index = index * data.positions[k].length + position;
        if (input.type !== "range") return;
        input.setAttribute("aria-valuetext", printed);
        input.closest("label").querySelector("output").textContent = printed;
      });
      const frame = data.frames[index];
      figure.querySelectorAll(".mm-row").forEach((row, k) => {
        row.querySelector(".mm-fill").style.width = (100 * frame.bars[k]).toFixed(2) + "%";
        row.querySelector(".mm-value").textContent = frame.bars[k].toFixed(3);
      });
      figure.querySelectorAll(".mm-curve").forEach((curve, k) => {
        const x = JSON.parse(curve.ownerSVGElement.dataset.x);
        curve.setAttribute("d", "M" + frame.curves[k].map((y, i) => x[i] + " " + y).join("L"));
      });
      figure.querySelector(".mm-note").textContent = frame.note;
    };
    inputs.forEach((input) => input.addEventListener("input", update));
    update();
  }
})();
