//! One file of very many rows: they are those of the table and, in `make soak`, the process that tells them does not
//! grow with them.

use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tests::{Caller, Soak, TestSystem};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::memory::{alone, peak_memory};

const NOW: &str = "2026-11-20T10:00:00Z";

/// Asks for all campaigns as a file, and gives its lines as they come.
async fn lines(system: &TestSystem, acme: &Caller) -> Lines<BufReader<TcpStream>> {
    let mut connection = TcpStream::connect(system.read_url().trim_start_matches("http://")).await.unwrap();
    let request = format!(
        "GET /v1/campaigns?fields=campaign_id,name HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         accept: text/csv\r\naccept-encoding: identity\r\n\r\n",
        acme.key()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    BufReader::new(connection).lines()
}

/// The id in a line of the file. What else comes is the heads, of the answer, of the table and of each piece.
fn id(line: &str) -> Option<&str> {
    line.split_once(',').map(|(id, _)| id).filter(|id| id.len() == 36 && id.as_bytes()[8] == b'-')
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn csv_of_a_million_rows_equals_the_table(pool: PgPool) {
    // The whole million in `make soak`. Of fewer, all could be in memory and nobody would see it.
    let is_whole = Soak::of_environment(0).rounds > 1;
    let count = if is_whole { 1_000_000 } else { 20_000 };
    let _alone = alone().await;
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    acme.campaign("Winter").await;
    acme.caught_up().await;
    sqlx::query(
        "INSERT INTO read.campaigns
         SELECT (jsonb_populate_record(c, jsonb_build_object('campaign_id', gen_random_uuid(), 'name', 'Shop ' || n))).*
         FROM read.campaigns c, generate_series(1, $1 - 1) n",
    )
    .bind(count)
    .execute(&pool)
    .await
    .unwrap();
    let told: String = sqlx::query_scalar(
        "SELECT encode(sha256(string_agg(campaign_id::text, '' ORDER BY name, campaign_id)::bytea), 'hex') FROM read.campaigns",
    )
    .fetch_one(&pool)
    .await
    .unwrap();

    let mut lines = lines(&system, &acme).await;
    let (mut rows, mut digest, mut before) = (0, Sha256::new(), 0);
    loop {
        let line = lines.next_line().await.unwrap().expect("the end of the file");
        if let Some(id) = id(&line) {
            rows += 1;
            digest.update(id);
        }
        // What the first pages take, buffers and pools among it, is not the rows' doing.
        if rows == 5_000 && before == 0 {
            peak_memory();
            before = peak_memory();
        }
        // The last piece has no length.
        if line == "0" {
            break;
        }
    }
    let grown = peak_memory().saturating_sub(before);
    assert_eq!((rows, hex::encode(digest.finalize())), (count, told));
    println!("a file of {rows} rows: {} MiB more than one of 5000", grown >> 20);
    // The file has about 48.
    assert!(!is_whole || grown < 24 << 20, "{} MiB", grown >> 20);
    system.stop().await;
}
