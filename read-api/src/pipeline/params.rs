//! The parameters that reads have in common, declared and read in one place.

use crate::consistency::ConsistencyParams;
use crate::error::ReadError;

/// The parameters of a read whose canonical query is `Q`.
pub(crate) trait Params<Q>: Send + Sync + 'static {
    /// How fresh the answer should be.
    fn consistency(&self) -> ConsistencyParams;

    /// Whether the caller wants no more rows than a page of its own has.
    fn is_limited(&self) -> bool {
        false
    }

    /// The query string of a GET that asks for the same whatever the day is, or with a cursor for what comes behind it. `None`
    /// for what nobody asks for again: a GET without pages.
    fn to_query_string(&self, _query: &Q, _cursor: Option<String>) -> Result<Option<String>, ReadError> {
        Ok(None)
    }
}

/// Parameters as a query string.
pub(crate) fn query_string(params: &impl serde::Serialize) -> Result<String, ReadError> {
    serde_urlencoded::to_string(params).map_err(ReadError::corrupt)
}

/// Declares the parameters of a read, all of them optional: its own, and those that every read takes. `of` its canonical query,
/// it is a list and takes those of pages, too; `pinning` names what the addresses of further pages take from that query, because
/// what is left out would mean another day tomorrow.
macro_rules! params {
    ($(#[$about:meta])* $visibility:vis struct $name:ident of $query:ident $(pinning $($pinned:ident),+)? { $($own:tt)* }) => {
        $crate::pipeline::params! {
            @declare $(#[$about])* $visibility struct $name {
                $($own)*
                /// The most rows of a page: 1 to 1000, 100 when left out.
                limit: Option<i64>,
                /// The `next_cursor` of the page before.
                cursor: Option<String>,
            }
        }

        impl $crate::pipeline::Params<$query> for $name {
            fn consistency(&self) -> $crate::consistency::ConsistencyParams {
                Self::consistency(self)
            }

            fn is_limited(&self) -> bool {
                self.limit.is_some()
            }

            fn to_query_string(&self, query: &$query, cursor: Option<String>) -> Result<Option<String>, $crate::error::ReadError> {
                let $query { $($($pinned,)+)? .. } = query;
                $($(let $pinned = Some($pinned.to_string());)+)?
                // The answer that hands out a cursor has reached the position already.
                let again = Self { $($($pinned,)+)? cursor, min_position: None, ..self.clone() };
                $crate::pipeline::query_string(&again).map(Some)
            }
        }
    };
    ($(#[$about:meta])* $visibility:vis struct $name:ident { $($own:tt)* }) => {
        $crate::pipeline::params! { @declare $(#[$about])* $visibility struct $name { $($own)* } }

        impl<Q> $crate::pipeline::Params<Q> for $name {
            fn consistency(&self) -> $crate::consistency::ConsistencyParams {
                Self::consistency(self)
            }
        }
    };
    (@declare $(#[$about:meta])* $visibility:vis struct $name:ident { $($(#[$says:meta])* $own:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize, utoipa::IntoParams)]
        #[serde(deny_unknown_fields, default)]
        #[into_params(parameter_in = Query)]
        $visibility struct $name {
            $(
                $(#[$says])*
                #[serde(skip_serializing_if = "Option::is_none")]
                $own: $type,
            )*
            /// The answer should hold the log up to this position. Where a read can wait, `Prefer: wait=<seconds>` waits for it.
            #[serde(skip_serializing_if = "Option::is_none")]
            min_position: Option<i64>,
            /// The answer must not lag by more than this: `500ms`, `5s`, `2m`.
            #[serde(skip_serializing_if = "Option::is_none")]
            max_staleness: Option<String>,
            /// What to do when the answer is not as fresh as was asked. `stale` (the default): answer. `error`: refuse with 503.
            #[serde(skip_serializing_if = "Option::is_none")]
            on_timeout: Option<String>,
        }

        impl $name {
            fn consistency(&self) -> $crate::consistency::ConsistencyParams {
                $crate::consistency::ConsistencyParams {
                    min_position: self.min_position,
                    max_staleness: self.max_staleness.clone(),
                    on_timeout: self.on_timeout.clone(),
                }
            }
        }
    };
}

pub(crate) use params;
