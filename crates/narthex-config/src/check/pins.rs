//! `pins:`.

use super::Check;
use crate::grammar;
use crate::model::{PinMode, Pins};
use crate::yaml::Field;

/// Default of `pins.file`.
const FILE_NAME: &str = "narthex.pins.json";

impl Check<'_> {
    pub(super) fn pins(&self, field: Field<grammar::Pins>) -> Pins {
        let default = if field.is_absent() { PinMode::Off } else { PinMode::TrustOnFirstUse };
        let given = field.into_value().unwrap_or_default();
        let mode = given.mode.get().map_or(default, |mode| mode.0);
        let file = self.text(given.file).map_or_else(|| self.path(FILE_NAME), |path| self.path(&path));
        Pins { file, mode }
    }
}
