"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const figures = JSON.parse(byId("figures").textContent);
  const plots = [...document.querySelectorAll("[data-figure]")];
  const narrow = matchMedia("(max-width: 40rem)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // Pixels of a figure on A4.
  const PAPER = 640;
  let printing = false;

  // Plotly, unpacked only once the page can be read. Its text is what the policy knows by its hash.
  const unpack = async () => {
    const packed = atob(byId("plotly").textContent);
    const bytes = new Uint8Array(packed.length);
    for (let place = 0; place < packed.length; place += 1) bytes[place] = packed.charCodeAt(place);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    if (!window.Plotly) throw new Error("Plotly did not start");
  };

  const colors = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    return { $ink: of("--ink"), $soft: of("--soft"), $edge: of("--edge"), $card: of("--card") };
  };

  // A copy of a figure for this screen: colours put in, texts and annotations for its width.
  const dress = (value, chosen) => {
    if (typeof value === "string") return Object.hasOwn(chosen, value) ? chosen[value] : value;
    if (Array.isArray(value)) {
      return value
        .filter((one) => !(narrow.matches && one && one.name === "wide"))
        .map((one) => dress(one, chosen));
    }
    if (value === null || typeof value !== "object") return value;
    const dressed = {};
    for (const [name, one] of Object.entries(value)) {
      if (name !== "narrowtext") dressed[name] = dress(one, chosen);
    }
    if (narrow.matches && value.narrowtext) {
      for (const name of ["ticktext", "label"]) {
        if (name in dressed) dressed[name] = dress(value.narrowtext, chosen);
      }
    }
    return dressed;
  };

  const draw = async (place) => {
    const figure = dress(figures[place.dataset.figure], colors());
    figure.layout.font = { ...figure.layout.font, family: getComputedStyle(document.body).fontFamily };
    if (narrow.matches) {
      for (const trace of figure.data) {
        if (trace.type === "heatmap") trace.textfont = { size: 10 };
        if (trace.marker && Array.isArray(trace.marker.size)) {
          trace.marker.size = trace.marker.size.map((size) => Math.max(15, size * 0.72));
        }
      }
    }
    for (const one of [...place.children]) if (one.matches(".waiting, .undrawn")) one.remove();
    await window.Plotly.react(place, figure.data, figure.layout, {
      displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false,
      showTips: false, typesetMath: false,
    });
    place.dataset.drawn = "yes";
    place.style.minHeight = "";
  };
  const isShown = (place) => !place.closest("[hidden]") && place.offsetParent !== null;
  const pause = () => new Promise((resolve) => setTimeout(resolve));
  const drawAll = async () => {
    for (const place of plots) {
      if (isShown(place)) { await draw(place); await pause(); }
    }
  };
  const redraw = () => {
    if (window.Plotly && !printing) for (const place of plots) if (place.dataset.drawn) draw(place);
  };

  // --- what can be pressed --------------------------------------------------------------------
  for (const button of document.querySelectorAll("button.copy")) {
    const text = button.textContent;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        // A page within another, or an old browser: select it, which the old command copies.
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = text; }, 1600);
    });
  }
  const chooser = byId("series");
  if (chooser) {
    chooser.addEventListener("change", () => {
      for (const group of document.querySelectorAll("[data-series]")) {
        group.hidden = group.dataset.series !== chooser.value;
      }
      if (window.Plotly) for (const place of plots) {
        if (isShown(place) && !place.dataset.drawn) draw(place);
      }
    });
  }
  narrow.addEventListener("change", redraw);
  dark.addEventListener("change", redraw);
  // Paper is narrower than the window: figures are drawn for it. What is shut is opened, but for
  // the tables behind figures.
  addEventListener("beforeprint", () => {
    printing = true;
    for (const one of document.querySelectorAll("details:not(.rows)")) {
      one.dataset.shut = one.open ? "" : "yes";
      one.open = true;
    }
    for (const place of plots) {
      if (place.dataset.drawn && place.offsetWidth > PAPER) {
        window.Plotly.relayout(place, { width: PAPER, autosize: false });
      }
    }
  });
  addEventListener("afterprint", () => {
    printing = false;
    for (const one of document.querySelectorAll("details[data-shut=yes]")) one.open = false;
    redraw();
  });

  // A telephone shows long tables only when asked.
  if (narrow.matches) for (const one of document.querySelectorAll("details.long")) one.open = false;

  const start = async () => {
    try {
      if (plots.length) await unpack();
      await drawAll();
      document.body.dataset.drawn = "yes";
    } catch (error) {
      for (const place of plots) {
        place.style.minHeight = "";
        for (const one of place.querySelectorAll(".waiting")) one.hidden = true;
        for (const one of place.querySelectorAll(".undrawn")) one.hidden = false;
      }
      document.body.dataset.drawn = "no";
    }
  };
  requestAnimationFrame(() => setTimeout(start));
})();
