//! Reads the command and does it.

use roster::{
    commands,
    config::{self, Command, Config, LogFormat},
    server,
};
use std::{io::IsTerminal as _, process::ExitCode};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let (command, config) = config::from_args();
    start_log(&config);
    let mut well = true;
    let done = match command {
        Command::Serve => server::serve(&config),
        Command::Migrate => {
            commands::migrate(&config).map(|count| println!("{count} migrations applied"))
        }
        Command::Doctor => commands::doctor(&config).map(|found| {
            print!("{found}");
            well = found.is_well();
        }),
        Command::Backup { file } => commands::backup(&config, &file).map(|said| println!("{said}")),
        Command::Restore { file } => {
            commands::restore(&config, file.as_deref()).map(|said| println!("{said}"))
        }
        Command::CheckConfig => {
            print!("{}", config.describe());
            Ok(())
        }
        Command::SendTestEmail { address } => commands::send_test_email(&config, &address)
            .map(|answer| println!("sent to {address}: {answer}")),
    };
    match done {
        Ok(()) if well => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
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
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        // There is one span, the request; the list of all would only say it again.
        LogFormat::Json => log.json().with_span_list(false).init(),
    }
}
