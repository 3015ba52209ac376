//! Plots as SVG written by hand: panels side by side, each with two axes and some lines, and one
//! legend below all of them. Whole numbers only.

use super::bound::{LOG2_BITS, log2};
use std::fmt::Write as _;

const WIDTH: u64 = 420;
const HEIGHT: u64 = 300;
const LEFT: u64 = 70;
const TOP: u64 = 40;
const INNER_WIDTH: u64 = 320;
const INNER_HEIGHT: u64 = 200;
/// Steps of a linear axis.
const STEPS: u64 = 4;
/// Pixels between two names of a legend.
const LEGEND_PX: u64 = 130;
/// Pixels of a legend's line.
const LEGEND_LINE_PX: u64 = 20;

/// How values lie on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From one power of ten to another; values of 0 are left out.
    Logarithmic,
    /// From 0.
    Linear,
}

/// One line of a panel: a colour and points.
pub type Line = (&'static str, Vec<(u64, u64)>);

/// One pair of axes with its lines.
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// How values lie across and up.
    pub scales: [Scale; 2],
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// Draws panels, two in a row, and a legend of names and colours.
pub fn svg(panels: &[Panel], legend: &[(&str, &str)]) -> String {
    let per_row = legend_per_row();
    let height = panels.len().div_ceil(2) as u64 * HEIGHT;
    let rows = legend.len().div_ceil(per_row as usize) as u64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        2 * WIDTH,
        height + 10 + LEGEND_LINE_PX * rows.max(1)
    );
    for (at, panel) in (0..).zip(panels) {
        let drawn = panel.draw(&mut out, at % 2 * WIDTH, at / 2 * HEIGHT);
        // Writing to a string does not fail.
        debug_assert!(drawn.is_ok());
    }
    for (at, (name, colour)) in (0..).zip(legend) {
        let x = LEFT + LEGEND_PX * (at % per_row);
        let y = height + 15 + LEGEND_LINE_PX * (at / per_row);
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

fn legend_per_row() -> u64 {
    (2 * WIDTH - LEFT) / LEGEND_PX
}

impl Panel {
    fn draw(&self, out: &mut String, x: u64, y: u64) -> std::fmt::Result {
        let (x, y) = (x + LEFT, y + TOP);
        writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            y - 12,
            self.title
        )?;
        writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{INNER_WIDTH}\" height=\"{INNER_HEIGHT}\" \
             fill=\"none\" stroke=\"#999\"/>"
        )?;
        let all = || self.lines.iter().flat_map(|(_, points)| points);
        let across = Axis::over(self.scales[0], all().map(|one| one.0));
        let up = Axis::over(self.scales[1], all().map(|one| one.1));
        for value in across.marks() {
            let at = x + across.place(value, INNER_WIDTH);
            writeln!(
                out,
                "<text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                y + INNER_HEIGHT + 16,
                label(value)
            )?;
        }
        for value in up.marks() {
            let at = y + INNER_HEIGHT - up.place(value, INNER_HEIGHT);
            writeln!(
                out,
                "<line x1=\"{x}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                x + INNER_WIDTH,
                x - 6,
                at + 4,
                label(value)
            )?;
        }
        for (colour, points) in &self.lines {
            write!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\""
            )?;
            for (across_value, up_value) in points {
                let at = x + across.place(*across_value, INNER_WIDTH);
                write!(out, "{at},{} ", y + INNER_HEIGHT - up.place(*up_value, INNER_HEIGHT))?;
            }
            writeln!(out, "\"/>")?;
        }
        Ok(())
    }
}

/// An axis: between two powers of ten, or from 0 to so many equal steps.
#[derive(Debug, PartialEq, Eq)]
enum Axis {
    Powers { first: u32, last: u32 },
    Steps { step: u64 },
}

impl Axis {
    fn over(scale: Scale, values: impl Iterator<Item = u64> + Clone) -> Self {
        let most = values.clone().max().unwrap_or(10).max(1);
        match scale {
            Scale::Logarithmic => {
                let first = values.min().unwrap_or(1).max(1).ilog10();
                let whole = 10u64.checked_pow(most.ilog10()) == Some(most);
                let last = most.ilog10() + u32::from(!whole);
                Self::Powers { first, last: last.max(first + 1) }
            }
            Scale::Linear => {
                // Steps of 1, 2, 2.5 or 5 times a power of ten, or of whole numbers below that.
                let least = most.div_ceil(STEPS);
                let power = 10u64.pow(least.ilog10());
                let nice = [10, 20, 25, 50, 100].map(|tenths| (power * tenths).div_ceil(10));
                let step = nice.into_iter().find(|step| *step >= least).unwrap_or(least);
                Self::Steps { step }
            }
        }
    }

    fn marks(&self) -> Vec<u64> {
        match self {
            Self::Powers { first, last } => (*first..=*last).map(|it| 10u64.pow(it)).collect(),
            Self::Steps { step } => (0..=STEPS).map(|it| it * step).collect(),
        }
    }

    /// Where a value is on an axis of that many pixels.
    fn place(&self, value: u64, pixels: u64) -> u64 {
        match self {
            Self::Powers { first, last } => {
                let (from, to) = (log2(10u64.pow(*first)), log2(10u64.pow(*last)));
                log2(value).saturating_sub(from) * pixels / (to - from).max(1 << LOG2_BITS)
            }
            Self::Steps { step } => value * pixels / (STEPS * step),
        }
    }
}

fn label(value: u64) -> String {
    let divided = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    let fits = divided.into_iter().find(|(unit, _)| value >= *unit && value.is_multiple_of(*unit));
    fits.map_or_else(|| value.to_string(), |(unit, name)| format!("{}{name}", value / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_goes_from_power_to_power() {
        let axis = Axis::over(Scale::Logarithmic, [20, 900].into_iter());
        assert_eq!(axis, Axis::Powers { first: 1, last: 3 });
        assert_eq!([10, 100, 1_000].map(|value| axis.place(value, 200)), [0, 100, 200]);
        let axis = Axis::over(Scale::Logarithmic, [100].into_iter());
        assert_eq!(axis, Axis::Powers { first: 2, last: 3 });
        assert_eq!([label(0), label(100_000), label(1_500)], ["0", "100k", "1500"]);
    }

    #[test]
    fn a_linear_axis_has_steps_that_people_read() {
        let marks = |most| Axis::over(Scale::Linear, [most].into_iter()).marks();
        assert_eq!(marks(8), [0, 2, 4, 6, 8]);
        assert_eq!(marks(100), [0, 25, 50, 75, 100]);
        assert_eq!(marks(70_000), [0, 20_000, 40_000, 60_000, 80_000]);
        assert_eq!(marks(0), [0, 1, 2, 3, 4]);
        assert_eq!(Axis::over(Scale::Linear, [100].into_iter()).place(50, 200), 100);
    }
}
