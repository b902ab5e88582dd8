//! Figures: printed one by one as JSON, and together as a table.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Ours and another's result at the same work. A ratio above 1 is in our favour.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the fields are the members of the JSON line")]
struct Figure {
    scenario: &'static str,
    figure: String,
    ours: f64,
    other: f64,
    other_name: &'static str,
    unit: &'static str,
    ratio: f64,
}

/// What both sides of a figure have done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contest {
    pub(crate) scenario: &'static str,
    pub(crate) other_name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

/// Which of two results is the better one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Better {
    /// The ratio is ours to the other's.
    More,
    /// The ratio is the other's to ours.
    Less,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Figure>);

impl Report {
    /// Takes the medians of the rounds, and prints the figure.
    #[expect(clippy::print_stdout, reason = "standard output is where the figures go")]
    pub(crate) fn add(&mut self, contest: Contest, figure: &str, ours: &[f64], other: &[f64]) -> Result<()> {
        let Contest { scenario, other_name, unit, better } = contest;
        let (ours, other) = (median(ours), median(other));
        let ratio = match better {
            Better::More => ours / other,
            Better::Less => other / ours,
        };
        let (ours, other, ratio) = (rounded(ours), rounded(other), (ratio * 100.0).round() / 100.0);
        let figure = Figure { scenario, figure: figure.to_owned(), ours, other, other_name, unit, ratio };
        println!("{}", serde_json::to_string(&figure)?);
        self.0.push(figure);
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "standard output is where the figures go")]
    pub(crate) fn print_table(&self) {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["scenario", "figure", "ours", "other", "unit", "other is", "ratio"]);
        for figure in &self.0 {
            table.add_row([
                figure.scenario.to_owned(),
                figure.figure.clone(),
                figure.ours.to_string(),
                figure.other.to_string(),
                figure.unit.to_owned(),
                figure.other_name.to_owned(),
                format!("{:.2}", figure.ratio),
            ]);
        }
        for numbers in [2, 3, 6] {
            if let Some(column) = table.column_mut(numbers) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("\n{table}");
    }
}

/// The middle one; of an even number of rounds the lower of the two in the middle.
fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// As many digits as say something.
fn rounded(value: f64) -> f64 {
    if value < 100.0 { (value * 100.0).round() / 100.0 } else { value.round() }
}
