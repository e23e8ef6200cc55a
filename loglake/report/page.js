"use strict";
// Draws each figure of the page. A colour in a figure is the name of a CSS variable, so that charts follow the page's light or dark.
const dark = matchMedia("(prefers-color-scheme: dark)");

function draw() {
  const style = getComputedStyle(document.body);
  const colour = (key, value) => (/color$/.test(key) && typeof value === "string" ? style.getPropertyValue(value).trim() || value : value);
  for (const box of document.querySelectorAll("div.chart")) {
    const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent, colour);
    figure.layout.font.family = style.fontFamily;
    Plotly.react(box, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  }
}

draw();
dark.addEventListener("change", draw);
