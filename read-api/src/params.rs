//! The common parameters of reads, declared and read in one place.

use queries::CanonicalQuery;
use queries::consistency::ConsistencyParams;

use crate::error::ApiError;

/// The parameters of a read.
pub(crate) trait Params {
    /// The freshness that the caller requires.
    fn consistency(&self) -> ConsistencyParams;

    /// Whether the caller limits the rows below a full page.
    fn is_limited(&self) -> bool {
        false
    }

    /// The query string of a GET with the same answer on any day, with open dates replaced by those of the canonical
    /// query. With a cursor, it is that of the next page. `None` for a GET without pages, which needs no such address.
    fn to_query_string(&self, _query: &CanonicalQuery, _cursor: Option<String>) -> Result<Option<String>, ApiError> {
        Ok(None)
    }
}

/// Parameters as a query string.
pub(crate) fn query_string(params: &impl serde::Serialize) -> Result<String, ApiError> {
    http_edge::query::to_string(params).map_err(ApiError::internal)
}

/// Declares the parameters of a read, all of them optional: its own, and those of every read. `in pages` adds those of
/// pages. `pinning dates` puts the days of the canonical query into the addresses of further pages, because open dates
/// would mean other days tomorrow.
macro_rules! params {
    ($(#[$about:meta])* $visibility:vis struct $name:ident in pages $(pinning $pinned:ident)? { $($own:tt)* }) => {
        $crate::params::params! {
            @declare $(#[$about])* $visibility struct $name {
                $($own)*
                /// The most rows of a page: 1 to 1000, by default 100.
                #[param(example = 2)]
                limit: Option<i64>,
                /// The `next_cursor` of the previous page.
                cursor: Option<String>,
            }
        }

        impl $crate::params::Params for $name {
            fn consistency(&self) -> queries::consistency::ConsistencyParams {
                Self::consistency(self)
            }

            fn is_limited(&self) -> bool {
                self.limit.is_some()
            }

            fn to_query_string(
                &self,
                query: &queries::CanonicalQuery,
                cursor: Option<String>,
            ) -> Result<Option<String>, $crate::error::ApiError> {
                // The answer with the cursor has reached the position already.
                let again = Self { cursor, min_position: None, ..self.clone() };
                $crate::params::query_string(&again.pinned(query)).map(Some)
            }
        }

        impl $name {
            $crate::params::params! { @pinned $($pinned)? }
        }
    };
    ($(#[$about:meta])* $visibility:vis struct $name:ident { $($own:tt)* }) => {
        $crate::params::params! { @declare $(#[$about])* $visibility struct $name { $($own)* } }

        impl $crate::params::Params for $name {
            fn consistency(&self) -> queries::consistency::ConsistencyParams {
                Self::consistency(self)
            }
        }
    };
    (@pinned dates) => {
        /// The same parameters with the days of the query.
        fn pinned(self, query: &queries::CanonicalQuery) -> Self {
            let Some((date_from, date_to)) = query.dates() else { return self };
            Self { date_from: Some(date_from.to_string()), date_to: Some(date_to.to_string()), ..self }
        }
    };
    (@pinned) => {
        /// The same parameters, because they name no days.
        fn pinned(self, _: &queries::CanonicalQuery) -> Self {
            self
        }
    };
    (@declare
        $(#[$about:meta])*
        $visibility:vis struct $name:ident { $($(#[$docs:meta])* $own:ident: $type:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize, utoipa::IntoParams)]
        #[serde(deny_unknown_fields, default)]
        #[into_params(parameter_in = Query)]
        $visibility struct $name {
            $(
                $(#[$docs])*
                #[serde(skip_serializing_if = "Option::is_none")]
                $own: $type,
            )*
            /// The answer should include the log up to this position. `Prefer: wait=<seconds>` waits for it where a
            /// read can wait.
            #[serde(skip_serializing_if = "Option::is_none")]
            min_position: Option<i64>,
            /// The most that the answer may lag: `500ms`, `5s`, `2m`.
            #[serde(skip_serializing_if = "Option::is_none")]
            max_staleness: Option<String>,
            /// What to do when the answer is not as fresh as required. `stale` (the default): answer. `error`: 503.
            #[serde(skip_serializing_if = "Option::is_none")]
            on_timeout: Option<String>,
        }

        impl $name {
            fn consistency(&self) -> queries::consistency::ConsistencyParams {
                queries::consistency::ConsistencyParams {
                    min_position: self.min_position,
                    max_staleness: self.max_staleness.clone(),
                    on_timeout: self.on_timeout.clone(),
                }
            }
        }
    };
}

pub(crate) use params;
