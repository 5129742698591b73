"""The style sheet that every report carries inline."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2227; --quiet: #5a646e; --rule: #d9dee3; --panel: #f5f7f8;
  --accent: #14608a;
  --series-1: #14608a; --series-2: #b8501f; --series-3: #5f4f9e; --series-4: #3d7330;
  --good: #2c6b21; --check: #8a5200; --stop: #a8261b; --open: #5a646e;
  --tile: 8rem;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --ink: #e4e8eb; --quiet: #a0aab3; --rule: #353c43; --panel: #1e2327;
    --accent: #76b9e0;
    --series-1: #76b9e0; --series-2: #ee9a6b; --series-3: #b3a5ee; --series-4: #8fc97f;
    --good: #8fc97f; --check: #e9b75b; --stop: #f2938a; --open: #a0aab3;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
}
header, .layout, footer { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
.has-contents > :is(header, .layout, footer) { max-width: 112rem; }
header { padding-top: 1.5rem; }
.contents { position: sticky; top: 0; z-index: 1; background: var(--paper); margin: 0 -1rem;
  padding: 0 1rem; border-bottom: 1px solid var(--rule); overflow-x: auto; }
.contents ol { display: flex; gap: 1.1rem; list-style: none; margin: 0; padding: 0; }
.contents a { display: block; padding: .65rem 0; white-space: nowrap; text-decoration: none;
  font-size: .875rem; }
.contents a:hover { text-decoration: underline; }
.has-contents :is(h2, h3) { scroll-margin-top: 3.5rem; }
@media (min-width: 64rem) {
  .layout.wide { display: grid; grid-template-columns: 10.5rem minmax(0, 1fr); gap: 2.5rem; }
  .contents { align-self: start; margin: 0; padding: 1rem 0; border-bottom: 0;
    max-height: 100vh; overflow: auto; }
  .contents ol { display: block; border-left: 2px solid var(--rule); }
  .contents a { padding: .25rem 0 .25rem .8rem; white-space: normal; }
  .has-contents :is(h2, h3) { scroll-margin-top: 1rem; }
}
main section:first-child h2 { margin-top: 1rem; }
footer {
  margin-top: 2.5rem; padding-top: .75rem; padding-bottom: 2rem;
  color: var(--quiet); font-size: .875rem;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.25rem 0 .5rem; font-weight: 650; }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; font-weight: 600; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 44rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
.quiet { color: var(--quiet); }
.blocks { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: .75rem; margin: .25rem 0; padding: 0;
}
.cards div { background: var(--panel); border-radius: .4rem; padding: .7rem .85rem; min-width: 0; }
.cards dt { color: var(--quiet); font-size: .875rem; }
.cards dd { margin: 0; overflow-wrap: anywhere; }
.cards .value { font-size: 1.4rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.cards .note { color: var(--quiet); font-size: .8125rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .9375rem; min-width: min(100%, 24rem); }
caption { text-align: left; color: var(--quiet); font-size: .875rem; padding-bottom: .3rem; }
th, td {
  text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0;
  border-bottom: 1px solid var(--rule);
}
th { font-weight: 600; }
td { overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1rem; }
figure { margin: 0; min-width: 0; }
figure.chart { max-width: 32rem; }
figure.chart figcaption { font-weight: 600; margin-bottom: .25rem; }
figure.chart > svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg text.quiet { fill: var(--quiet); }
svg .grid { stroke: var(--rule); stroke-width: .6; }
svg .axis { stroke: var(--quiet); stroke-width: 1; }
svg .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
svg .dot { stroke-width: 6; }
svg .area { fill-opacity: .22; }
.line.s1 { stroke: var(--series-1); }
.line.s2 { stroke: var(--series-2); stroke-dasharray: 6 3; }
.line.s3 { stroke: var(--series-3); stroke-dasharray: 8 3 1.5 3; }
.line.s4 { stroke: var(--series-4); stroke-dasharray: 1.5 3; }
.area.s1, .bar.s1 { fill: var(--series-1); }
.area.s2, .bar.s2 { fill: var(--series-2); }
.area.s3, .bar.s3 { fill: var(--series-3); }
.area.s4, .bar.s4 { fill: var(--series-4); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; list-style: none; margin: 0 0 .35rem;
  padding: 0; font-size: .875rem; overflow-wrap: anywhere; }
.legend svg { width: 1.5rem; height: .625rem; margin-right: .4rem; overflow: visible; }
.groups { display: flex; flex-wrap: wrap; gap: .75rem; align-items: flex-start; }
.group { max-width: 100%; border: 1px solid var(--rule); border-radius: .4rem; padding: .6rem; }
.group.plain { border: 0; padding: 0; }
/* Text must not make a group wider than its photos do. */
.group > h3, .group > p { width: 0; min-width: 100%; margin: 0 0 .35rem; }
.group > h3 { font-size: .9375rem; line-height: 1.3; }
.group > p { font-size: .8125rem; line-height: 1.35; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; }
.tiles figure { width: var(--tile); }
.tiles img { display: block; width: var(--tile); height: auto; aspect-ratio: auto 1;
  border-radius: .25rem; }
.tiles figcaption { font-size: .8125rem; line-height: 1.35; overflow-wrap: anywhere;
  margin-top: .2rem; }
.commands span { white-space: nowrap; }
.strip { display: flex; flex-wrap: wrap; gap: 0 .5rem; height: 7rem; overflow: hidden; }
.strip img { width: 7rem; height: 7rem; object-fit: cover; border-radius: .25rem; }
.orders { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.orders legend { float: left; padding: 0; margin-right: 1rem; color: var(--quiet); }
.orders label { cursor: pointer; }
.orders:has(.order-1:checked) + .groups > :not(.first) { display: none; }
.orders:has(.order-2:checked) + .groups > :not(.second) { display: none; }
.orders:has(.order-2:checked) + .groups > * { order: var(--rank); }
.verdict { font-size: 1.125rem; font-weight: 600; border-left: .3rem solid; padding-left: .75rem;
  max-width: 60rem; }
.good { color: var(--good); } .check { color: var(--check); }
.stop { color: var(--stop); } .open { color: var(--open); }
.badge { flex: none; width: 6.5rem; white-space: nowrap; text-align: center;
  font-size: .8125rem; font-weight: 600; line-height: 1.5; border: 1px solid;
  border-radius: .3rem; padding: 0 .4rem; }
.columns { display: grid; gap: 0 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.columns > div { min-width: 0; }
.findings { list-style: none; margin: 0; padding: 0; }
.findings li { display: flex; gap: .75rem; align-items: baseline; margin: .45rem 0;
  overflow-wrap: anywhere; }
.findings li > :last-child { min-width: 0; }
.commands { margin: 0; padding-left: 1.3rem; }
.commands li { margin: .45rem 0; }
.commands p { margin: 0; }
pre { background: var(--panel); border-radius: .4rem; padding: .5rem .75rem; margin: .3rem 0 0;
  white-space: pre-wrap; overflow-wrap: anywhere;
  font: .875rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.links { padding-left: 1.2rem; margin: .5rem 0; }
.links li { margin: .3rem 0; overflow-wrap: anywhere; }
@media (max-width: 30rem) {
  :root { --tile: 7rem; }
  .group { border-width: 1px 0 0; border-radius: 0; padding: .6rem 0 0; width: 100%; }
  .group.plain { border: 0; padding: 0; }
  table { font-size: .875rem; min-width: 100%; }
  th, td { padding-right: .55rem; }
  .tiles { gap: .5rem; }
  .tiles figcaption { font-size: .75rem; }
  .findings li { display: block; }
  .findings .badge { display: inline-block; width: auto; margin-right: .4rem; }
}
@media print {
  body { font-size: 11pt; }
  .contents, .orders { display: none; }
  section { break-inside: avoid-page; }
}
"""
