//! The answer to a query: its form, its body, and its links.

use axum::response::Response;
use queries::{Query, ReadRequest};

use crate::context::ReadContext;
use crate::error::ApiError;
use crate::export::export;
use crate::format::{Format, require_json};
use crate::json;
use crate::params::Params;
use crate::response::{self, ETag, content_location, link_next, write_trace};

impl ReadContext {
    /// Answers a query in JSON.
    pub(crate) async fn answer(self, query: Query, params: &impl Params) -> Result<Response, ApiError> {
        require_json(&self.headers)?;
        self.json(&query, params).await
    }

    /// Answers with a page of rows in JSON, or with all of them as a CSV file of this name.
    pub(crate) async fn list(self, query: Query, params: &impl Params, file: String) -> Result<Response, ApiError> {
        match Format::of_rows(&self.headers)? {
            Format::Json => self.json(&query, params).await,
            // Boxed, so that the future of a cache hit stays small.
            Format::Csv => {
                let consistency = self.consistency(&params.consistency())?;
                Box::pin(export(self, query, consistency, params.is_limited(), file)).await
            }
        }
    }

    async fn json(&self, query: &Query, params: &impl Params) -> Result<Response, ApiError> {
        let consistency = self.consistency(&params.consistency())?;
        let model = &self.state.model;
        let request = ReadRequest { access: self.access(), query, consistency, client_has: &|id| self.has_result(id) };
        let answer = model.read(request).await?;
        let (tag, last_modified) = (ETag::of(answer.id()), answer.id().last_modified());
        let caching = self.caching(consistency);
        let body = if self.has_etag(&tag) {
            None
        } else {
            answer.encoding(model, json::ENCODING, |result| json::encode(&answer.query, result))?
        };
        let (mut response, next_cursor) = match body {
            Some(body) => {
                let next_cursor = answer.result().and_then(|result| result.next_cursor.clone());
                (response::ok(&tag, last_modified, &answer.status, caching, body), next_cursor)
            }
            None => (response::not_modified(&tag, last_modified, &answer.status, caching), None),
        };
        write_trace(&answer.trace, response.headers_mut());
        let address = |cursor| {
            let again = params.to_query_string(&answer.query.query, cursor)?;
            Ok::<_, ApiError>(again.map(|query_string| format!("{}?{query_string}", self.address.path())))
        };
        if !self.is_conditional
            && let Some(twin) = address(None)?
        {
            content_location(&mut response, &twin);
        }
        if next_cursor.is_some()
            && let Some(next) = address(next_cursor)?
        {
            link_next(&mut response, &next);
        }
        Ok(response)
    }
}
