//! Reads the command and does it.

use roster::{
    config::{self, Command, Config, LogFormat},
    server,
};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let (command, config) = config::from_args();
    start_log(&config);
    let done = match command {
        Command::Serve => server::serve(&config),
        Command::Migrate => {
            server::migrate(&config).map(|count| println!("{count} migrations applied"))
        }
        Command::CheckConfig => {
            print!("{}", config.describe());
            Ok(())
        }
        Command::SendTestEmail { address } => server::send_test_email(&config, &address)
            .map(|answer| println!("sent to {address}: {answer}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roster: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The log goes to standard error: standard output is for what a command answers.
fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
