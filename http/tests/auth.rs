//! The extractor that finds the caller.

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use chrono::DateTime;
use http_edge::auth::Authenticated;
use http_edge::problem::Problem;
use platform::authenticator::Authenticator;
use platform::clock::{Clock, ManualClock};
use platform::keys::{NewKey, create_key};
use platform::principal::Scope;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tower::ServiceExt;

#[derive(Clone)]
struct ApiState {
    authenticator: Authenticator,
}

impl FromRef<ApiState> for Authenticator {
    fn from_ref(state: &ApiState) -> Self {
        state.authenticator.clone()
    }
}

async fn read(caller: Authenticated) -> Result<String, Problem> {
    Ok(caller.require(Scope::Read)?.workspace.to_string())
}

async fn command(caller: Authenticated) -> Result<String, Problem> {
    Ok(caller.require(Scope::Command)?.workspace.to_string())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn request_needs_a_key_with_the_scope(pool: PgPool) {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    let new = NewKey { workspace: 3, name: "dashboard", scopes: &[Scope::Read] };
    let (_, key) = create_key(&mut pool.acquire().await.unwrap(), new, clock.now()).await.unwrap();
    let key = key.expose_secret();
    let authenticator = Authenticator::new(pool.clone(), clock.shared());
    let app =
        Router::new().route("/read", get(read)).route("/command", get(command)).with_state(ApiState { authenticator });
    let ask = async |path: &str, authorization: Option<String>| {
        let mut request = Request::get(path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let code = |response: &axum::response::Response| response.extensions().get::<Problem>().unwrap().code().to_owned();

    assert_eq!(ask("/read", Some(format!("Bearer {key}"))).await.status(), StatusCode::OK);
    assert_eq!(ask("/read", Some(format!("bearer  {key} "))).await.status(), StatusCode::OK);
    let forbidden = ask("/command", Some(format!("Bearer {key}"))).await;
    assert_eq!((forbidden.status(), code(&forbidden)), (StatusCode::FORBIDDEN, "forbidden".to_owned()));
    for wrong in [None, Some(key.to_owned()), Some("Bearer hw_wrong".to_owned()), Some(format!("Basic {key}"))] {
        let refused = ask("/read", wrong).await;
        assert_eq!((refused.status(), code(&refused)), (StatusCode::UNAUTHORIZED, "unauthorized".to_owned()));
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    }

    pool.close().await;
    let unavailable = ask("/read", Some("Bearer hw_other".to_owned())).await;
    assert_eq!((unavailable.status(), code(&unavailable)), (StatusCode::SERVICE_UNAVAILABLE, "unavailable".to_owned()));
    assert!(unavailable.headers().contains_key("retry-after"));
}
