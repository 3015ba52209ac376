//! The plot of how the cost of a sync session grows: four panels with logarithmic axes; a line has a
//! point for every row that has a value.

use super::drawing::{self, Panel, Scale};
use super::figures::Figures;
use super::report::Row;

/// One colour for each protocol, and the bound.
const LINES: [(&str, &str); 4] = [
    ("hundi", "#0b6e4f"),
    ("negentropy", "#c8553d"),
    ("Automerge", "#588bae"),
    ("at least", "#777777"),
];

/// A panel's value of one protocol.
type Pick = fn(&Figures) -> u64;

/// Draws the rows of the two growing series.
pub fn svg(rows: &[Row]) -> String {
    let metadata: Pick = |figures| figures.metadata[2].p50;
    let cpu: Pick = |figures| figures.cpu_us[0].p50 + figures.cpu_us[1].p50;
    let of = |case: &str| rows.iter().filter(|row| row.case == case).collect::<Vec<&Row>>();
    let (sets, differences) = (of("set grows"), of("difference grows"));
    let authors: fn(&Row) -> u64 = |row| row.authors;
    let differing: fn(&Row) -> u64 = |row| row.difference;
    let panels = [
        ("metadata (bytes) by authors", &sets, authors, metadata, true),
        ("metadata (bytes) by differing authors", &differences, differing, metadata, true),
        ("time of both sides (µs) by authors", &sets, authors, cpu, false),
        ("time of both sides (µs) by differing authors", &differences, differing, cpu, false),
    ];
    let panels = panels.map(|(title, rows, x, pick, bound)| Panel {
        title: title.to_owned(),
        scales: [Scale::Logarithmic; 2],
        lines: LINES.iter().map(|(_, colour)| *colour).zip(series(rows, x, pick, bound)).collect(),
    });
    drawing::svg(&panels, &LINES)
}

/// The points of every line that a panel has.
fn series(rows: &[&Row], x: fn(&Row) -> u64, pick: Pick, bound: bool) -> [Vec<(u64, u64)>; 4] {
    let points = |value: &dyn Fn(&Row) -> Option<u64>| -> Vec<(u64, u64)> {
        let at = |row: &&Row| Some((x(row), value(row)?)).filter(|(x, y)| *x > 0 && *y > 0);
        rows.iter().filter_map(at).collect()
    };
    [
        points(&|row| Some(pick(&row.ours))),
        points(&|row| Some(pick(&row.negentropy))),
        points(&|row| row.automerge.as_ref().map(pick)),
        points(&|row| bound.then_some(row.minimum_bytes)),
    ]
}
