// Steps through the pictures of ta.explain: buttons, a slider and the arrow keys choose a step.
// Step 0 is the whole pass. Without this script all steps stand below the picture, one by one.
for (const root of document.querySelectorAll(".tinyattn-steps:not([data-ready])")) {
  root.dataset.ready = "";
  const sections = root.querySelectorAll("section");
  const slider = root.querySelector("input");
  const scroll = root.querySelector(".picture");
  const boxes = root.querySelectorAll("g.box");

  function show(step) {
    slider.value = step;
    slider.setAttribute("aria-valuetext", step ? `step ${step} of ${slider.max}` : "all steps");
    root.querySelector("output").textContent = step ? `${step} / ${slider.max}` : "all";
    sections.forEach((section, i) => { section.hidden = i !== step; });
    for (const box of boxes) {
      const own = Number(box.dataset.step);
      box.classList.toggle("now", step > 0 && own === step);
      box.classList.toggle("later", step > 0 && own > step);
    }
    for (const line of root.querySelectorAll("[data-from]")) {
      line.classList.toggle("now", step > 0 && Number(line.dataset.from) === step);
      line.classList.toggle("later", step > 0 && Number(line.dataset.from) > step);
    }
    const box = [...boxes].find((each) => each.classList.contains("now"));
    if (box) {
      const at = box.getBoundingClientRect(), view = scroll.getBoundingClientRect();
      scroll.scrollTop += at.top + at.height / 2 - view.top - view.height / 2;
      scroll.scrollLeft += at.left + at.width / 2 - view.left - view.width / 2;
    }
  }

  const move = (by) => show(Math.min(Math.max(Number(slider.value) + by, 0), Number(slider.max)));
  root.querySelector("[data-by='-1']").addEventListener("click", () => move(-1));
  root.querySelector("[data-by='1']").addEventListener("click", () => move(1));
  slider.addEventListener("input", () => show(Number(slider.value)));
  for (const box of boxes) {
    if (box.dataset.step !== "0") box.addEventListener("click", () => show(Number(box.dataset.step)));
  }
  root.querySelector(".controls").hidden = false;
  show(0);
}
