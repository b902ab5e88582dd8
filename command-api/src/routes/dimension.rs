//! Names of dimensions, as members of bodies have them.

use commands::CommandError;
use domain::item::truncate;
use domain::observation::Dimension;

/// Reads the name of a dimension by which totals are kept.
pub(super) fn dimension(field: &'static str, name: &str) -> Result<Dimension, CommandError> {
    name.parse().map_err(|error| {
        let known: Vec<_> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
        let detail = format!("\"{}\" {error}; those are {}", truncate(name), known.join(", "));
        CommandError::Invalid { field, detail }
    })
}
