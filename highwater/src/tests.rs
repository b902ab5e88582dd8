use clap::{CommandFactory, Parser};

use super::Cli;

#[test]
fn command_line_definition_is_valid() {
    Cli::command().debug_assert();
}

#[test]
fn has_the_documented_commands() {
    let command = Cli::command();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(
        names,
        [
            "dev",
            "serve",
            "migrate",
            "status",
            "replay",
            "verify",
            "leaderboard",
            "retention",
            "parked",
            "restored",
            "keys",
            "events",
            "import",
            "singer"
        ]
    );
}

#[track_caller]
fn accepts(line: &str) {
    let parsed = Cli::try_parse_from(line.split_whitespace());
    assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
}

#[track_caller]
fn refuses(line: &str, naming: &str) {
    let error = Cli::try_parse_from(line.split_whitespace()).expect_err(line).to_string();
    assert!(error.contains(naming), "{line}: {error}");
}

#[test]
fn accepts_the_documented_command_lines() {
    accepts("highwater dev");
    accepts("highwater dev --data-dir d --command-addr 127.0.0.1:0 --read-addr [::1]:0 --api-key k --traffic 0");
    accepts("highwater serve --roles command,projector,read");
    accepts("highwater serve --roles read --tls-cert c --tls-key k");
    accepts("highwater migrate --config highwater.toml");
    accepts("highwater status");
    accepts("highwater status --json");
    accepts("highwater status --data-dir d");
    accepts("highwater keys list --data-dir d");
    accepts("highwater keys --data-dir d list");
    accepts("highwater replay");
    accepts("highwater replay campaign_model");
    accepts("highwater restored --note copied");
    accepts("highwater singer --mapping tap-facebook --state s.json --api-key k -- tap-facebook --config c.json");
    accepts("highwater singer --mapping m.toml --dry-run");
    accepts("highwater events schema");
    accepts("highwater events schema CampaignCreated 1");
    refuses("highwater events schema CampaignCreated one", "one");
    accepts("highwater retention show");
    accepts("highwater retention set --keep-months 25 --table rollup_15m");
    accepts("highwater retention set --keep-all --dimension-values 500");
    refuses("highwater retention set", "required");
    refuses("highwater retention set --keep-months 0", "0");
    refuses("highwater retention set --keep-months 5 --keep-all", "cannot be used with");
    refuses("highwater retention set --table rollup_15m --dimension-values 5", "required");
    accepts("highwater keys create --workspace w --scopes read --name dashboard");
    accepts(
        "highwater keys create --workspace w --create-workspace --time-zone UTC --currency EUR --scopes read,command --name n",
    );
    accepts("highwater keys list");
    accepts("highwater keys revoke 0192f0c1-2345-7000-8000-000000000000");
    accepts(
        "highwater import statements f.csv --source-from A --campaign-from B --date-from C --date-format %d.%m.%Y \
         --measure clicks=Clicks --measure impressions=Impressions --channel X=paid_search --time-zone Europe/Berlin \
         --currency USD --reference-source G --complete-through 2019-06-30 --server http://127.0.0.1:8081 --api-key k",
    );
}

#[test]
fn rejects_invalid_command_lines() {
    refuses("highwater serve", "--roles");
    refuses("highwater serve --roles comand", "comand");
    refuses("highwater dev --traffic many", "--traffic");
    refuses("highwater keys create --workspace w --scopes write --name n", "write");
    refuses("highwater keys create --workspace w --scopes read --name n --time-zone UTC", "--create-workspace");
    refuses("highwater keys revoke first", "first");
    let import =
        "highwater import statements f --source-from A --campaign-from B --date-from C --server http://s --api-key k";
    refuses(import, "--measure");
    refuses(&format!("{import} --measure clicks"), "NAME=COLUMN");
    refuses(&format!("{import} --measure likes=L"), "likes");
    refuses(&format!("{import} --measure clicks=C --date-format %Y"), "--date-format");
    refuses(&format!("{import} --measure clicks=C --time-zone Mars"), "--time-zone");
    refuses(&format!("{import} --measure clicks=C --channel X=Paid"), "--channel");
}
