//! What is sealed of a rejected item: how it was sent, what was wrong with it, and its text.

use domain::breakdown::Breakdown;
use domain::bucket::Grain;
use domain::observation::BackfillName;
use domain::zone::Zone;
use serde::{Deserialize, Serialize};

use crate::batch_result::ItemResult;

/// How an item was sent. With its text, that is all that is needed to read it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemForm {
    /// An observation, in a batch or on a line.
    Observation,
    /// An observation as a CloudEvent.
    CloudEvent,
    /// An observation of a backfill.
    Backfill {
        /// The backfill.
        name: BackfillName,
    },
    /// A statement.
    Statement {
        /// The length of its bucket.
        grain: Grain,
        /// The time zone in which its bucket is cut.
        time_zone: Zone,
        /// The dimensions that it is by.
        #[serde(default, skip_serializing_if = "Breakdown::is_total")]
        breakdown: Breakdown,
    },
}

/// What a rejected item says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedContent {
    /// How it was sent.
    pub form: ItemForm,
    /// Its id, if it has one that could be read.
    pub item_id: Option<String>,
    /// The member with the error.
    pub field: Option<String>,
    /// The error.
    pub detail: Option<String>,
    /// Its text as it was sent. `None` if it was too long to be kept.
    pub text: Option<Vec<u8>>,
}

/// All but the text, which follows as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    form: ItemForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// What stands between the head, which is JSON on one line, and the text.
const END_OF_HEAD: u8 = b'\n';

impl RejectedContent {
    /// The content of an item with the result that it got.
    pub(super) fn new(form: ItemForm, result: &ItemResult, text: Option<&[u8]>) -> Self {
        let ItemResult { id, field, detail, .. } = result.clone();
        Self { form, item_id: id, field, detail, text: text.map(<[u8]>::to_owned) }
    }

    /// The same item with another result.
    pub(super) fn judged(self, result: &ItemResult) -> Self {
        let item_id = result.id.clone().or(self.item_id);
        Self { item_id, field: result.field.clone(), detail: result.detail.clone(), ..self }
    }

    /// As bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Self { form, item_id, field, detail, text } = self.clone();
        let mut bytes = serde_json::to_vec(&Head { form, item_id, field, detail })?;
        if let Some(text) = text {
            bytes.push(END_OF_HEAD);
            bytes.extend(text);
        }
        Ok(bytes)
    }

    /// From bytes. `None` if they are no content.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(2, |byte| *byte == END_OF_HEAD);
        let Head { form, item_id, field, detail } = serde_json::from_slice(parts.next()?).ok()?;
        Some(Self { form, item_id, field, detail, text: parts.next().map(<[u8]>::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use domain::item::{ItemError, ItemErrorCode};
    use domain::observation::Dimension;

    use super::*;

    fn result(field: &str) -> ItemResult {
        let error = ItemError::at(ItemErrorCode::BadTime, field, "is no\ninstant");
        ItemResult::rejected(3, Some("o-1".to_owned()), error)
    }

    #[test]
    fn any_text_comes_back_as_it_was_sent() {
        let backfill = ItemForm::Backfill { name: "old".parse().unwrap() };
        let time_zone = "Europe/Berlin".parse().unwrap();
        let breakdown = Breakdown::new([Dimension::Device]).unwrap();
        let statement = ItemForm::Statement { grain: Grain::Day, time_zone, breakdown };
        let texts: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"\n{\"id\":\n1}\n"), Some(b"\xff\x00")];
        for form in [ItemForm::Observation, ItemForm::CloudEvent, backfill, statement] {
            for text in texts {
                let content = RejectedContent::new(form.clone(), &result("occurred_at"), text);
                assert_eq!(content.text.as_deref(), text);
                assert_eq!(RejectedContent::decode(&content.encode().unwrap()), Some(content));
            }
        }
        assert_eq!(RejectedContent::decode(b"{}\n"), None);
    }

    #[test]
    fn the_latest_result_is_kept() {
        let content = RejectedContent::new(ItemForm::Observation, &result("occurred_at"), Some(b"{}"));
        let again = content.judged(&ItemResult { id: None, ..result("value") });
        assert_eq!((again.item_id.as_deref(), again.field.as_deref()), (Some("o-1"), Some("value")));
        assert_eq!(again.text.as_deref(), Some(&b"{}"[..]));
    }
}
