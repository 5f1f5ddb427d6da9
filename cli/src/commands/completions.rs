//! Completion scripts, and the reference docs/cli.md. Both are made only from the definition of the command line.

use std::io::Write;

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::Outcome;
use crate::args::Cli;

/// Writes the completion script of a shell.
pub fn completions(shell: Shell, out: &mut impl Write) -> Result<Outcome> {
    // clap_complete panics if it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "batch", &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Done)
}

/// Writes all commands as Markdown.
pub fn reference(out: &mut impl Write) -> Result<Outcome> {
    writeln!(
        out,
        "<!-- Made by `batch reference` (make generate). Do not edit. -->\n\n# The `batch` command"
    )?;
    let mut root = Cli::command().term_width(100);
    root.build();
    section(&mut root, out)?;
    Ok(Outcome::Done)
}

fn section(command: &mut Command, out: &mut impl Write) -> Result<()> {
    let name = command.get_bin_name().unwrap_or("batch").to_owned();
    let help = command.render_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(out, "\n## `{name}`\n\n```text\n{}\n```", help.join("\n").trim_end())?;
    for sub in command.get_subcommands_mut().filter(|s| !s.is_hide_set()) {
        section(sub, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_command_and_no_value_of_this_machine() {
        let mut text = Vec::new();
        reference(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let shown = [
            "batch model create",
            "batch job create",
            "batch job rejected",
            "batch validate",
            "batch completions",
        ];
        for command in shown {
            assert!(text.contains(&format!("## `{command}`\n")), "{command} in\n{text}");
        }
        assert!(text.contains("[env: BATCH_API_URL]") && !text.contains("batch reference`\n\n"), "{text}");
    }

    #[test]
    fn completions_know_the_subcommands() {
        let mut text = Vec::new();
        completions(Shell::Bash, &mut text).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("batch__subcmd__job__subcmd__rejected"));
    }
}
