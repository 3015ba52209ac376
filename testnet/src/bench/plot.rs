//! The plot of the growth, as SVG written by hand: four panels with logarithmic axes. A panel's
//! axes go from one power of ten to another; a line has a point for every row that has a value.

use super::bound::{LOG2_BITS, log2};
use super::figures::Figures;
use super::report::Row;
use std::fmt::Write as _;

const WIDTH: u64 = 420;
const HEIGHT: u64 = 300;
const LEFT: u64 = 70;
const TOP: u64 = 40;
const INNER_WIDTH: u64 = 320;
const INNER_HEIGHT: u64 = 200;
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
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        2 * WIDTH,
        2 * HEIGHT + 30
    );
    let panels = [
        ("metadata (bytes) by authors", &sets, authors, metadata, true),
        ("metadata (bytes) by differing authors", &differences, differing, metadata, true),
        ("time of both sides (µs) by authors", &sets, authors, cpu, false),
        ("time of both sides (µs) by differing authors", &differences, differing, cpu, false),
    ];
    for (at, (title, rows, x, pick, bound)) in panels.into_iter().enumerate() {
        let (column, line) = (at as u64 % 2, at as u64 / 2);
        let series = series(rows, x, pick, bound);
        let drawn = panel(&mut out, column * WIDTH, line * HEIGHT, title, &series);
        // Writing to a string does not fail.
        debug_assert!(drawn.is_ok());
    }
    for (at, (name, colour)) in LINES.iter().enumerate() {
        let (x, y) = (LEFT + 130 * at as u64, 2 * HEIGHT + 15);
        out.push_str(&format!(
            "<rect x=\"{x}\" y=\"{}\" width=\"20\" height=\"3\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{y}\">{name}</text>\n",
            y - 6,
            x + 26
        ));
    }
    out.push_str("</svg>\n");
    out
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

fn panel(
    out: &mut String,
    x: u64,
    y: u64,
    title: &str,
    series: &[Vec<(u64, u64)>; 4],
) -> std::fmt::Result {
    let (x, y) = (x + LEFT, y + TOP);
    writeln!(out, "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{title}</text>", y - 12)?;
    writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{INNER_WIDTH}\" height=\"{INNER_HEIGHT}\" fill=\"none\" \
         stroke=\"#999\"/>"
    )?;
    let all = || series.iter().flatten();
    let (across, up) = (Axis::over(all().map(|one| one.0)), Axis::over(all().map(|one| one.1)));
    for power in across.first..=across.last {
        let at = x + across.place(10u64.pow(power), INNER_WIDTH);
        writeln!(
            out,
            "<text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y + INNER_HEIGHT + 16,
            label(power)
        )?;
    }
    for power in up.first..=up.last {
        let at = y + INNER_HEIGHT - up.place(10u64.pow(power), INNER_HEIGHT);
        writeln!(
            out,
            "<line x1=\"{x}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            x + INNER_WIDTH,
            x - 6,
            at + 4,
            label(power)
        )?;
    }
    for (points, (_, colour)) in series.iter().zip(LINES) {
        write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"")?;
        for (across_value, up_value) in points {
            let at = x + across.place(*across_value, INNER_WIDTH);
            write!(out, "{at},{} ", y + INNER_HEIGHT - up.place(*up_value, INNER_HEIGHT))?;
        }
        writeln!(out, "\"/>")?;
    }
    Ok(())
}

/// From one power of ten to another.
struct Axis {
    first: u32,
    last: u32,
}

impl Axis {
    fn over(values: impl Iterator<Item = u64> + Clone) -> Self {
        let first = values.clone().min().unwrap_or(1).max(1).ilog10();
        let most = values.max().unwrap_or(10).max(1);
        let whole = 10u64.checked_pow(most.ilog10()) == Some(most);
        let last = most.ilog10() + u32::from(!whole);
        Self { first, last: last.max(first + 1) }
    }

    /// Where a value is on an axis of that many pixels.
    fn place(&self, value: u64, pixels: u64) -> u64 {
        let (from, to) = (log2(10u64.pow(self.first)), log2(10u64.pow(self.last)));
        log2(value).saturating_sub(from) * pixels / (to - from).max(1 << LOG2_BITS)
    }
}

fn label(power: u32) -> String {
    match power {
        0..3 => 10u64.pow(power).to_string(),
        3..6 => format!("{}k", 10u64.pow(power - 3)),
        6..9 => format!("{}M", 10u64.pow(power - 6)),
        _ => format!("{}G", 10u64.pow(power - 9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_goes_from_power_to_power() {
        let axis = Axis::over([20, 900].into_iter());
        assert_eq!((axis.first, axis.last), (1, 3));
        assert_eq!([10, 100, 1_000].map(|value| axis.place(value, 200)), [0, 100, 200]);
        let axis = Axis::over([100].into_iter());
        assert_eq!((axis.first, axis.last), (2, 3));
        assert_eq!(label(5), "100k");
    }
}
