"""The style sheet that every report carries inline."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2227; --quiet: #5a646e; --rule: #d9dee3; --panel: #f5f7f8;
  --accent: #14608a;
  --series-1: #14608a; --series-2: #b8501f; --series-3: #5f4f9e; --series-4: #3d7330;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --ink: #e4e8eb; --quiet: #a0aab3; --rule: #353c43; --panel: #1e2327;
    --accent: #76b9e0;
    --series-1: #76b9e0; --series-2: #ee9a6b; --series-3: #b3a5ee; --series-4: #8fc97f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
}
main, header, footer { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.75rem; }
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
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr));
  gap: .75rem; }
.sheet img { display: block; width: 100%; height: auto; border-radius: .25rem; }
.sheet figcaption { font-size: .75rem; line-height: 1.35; overflow-wrap: anywhere;
  margin-top: .2rem; }
.links { padding-left: 1.2rem; margin: .5rem 0; }
.links li { margin: .3rem 0; overflow-wrap: anywhere; }
@media print { body { font-size: 11pt; } section { break-inside: avoid-page; } }
"""
