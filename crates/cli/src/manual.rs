//! The manual page: one for the binary and all its subcommands.

use crate::arguments::Arguments;
use clap::{Command, CommandFactory};
use std::io::{self, Write};

/// What no flag says.
const END: &str = r".SH EXIT STATUS
.TP
0
stopped by a signal, valid, or done
.TP
1
start-up or configuration error; a stream that could not be opened, or broke off; a hook that failed, or a server that
said no
.TP
2
wrong command line
.TP
3
the server could not be reached
.TP
4
the server wants a token, or another one
.TP
5
what was named is not there
.SH SIGNALS
.TP
SIGTERM, SIGINT
stop; a second one ends at once
.TP
SIGHUP
read the file again and replace the hooks; a bad file keeps the former ones
.SH ENVIRONMENT
A flag \fB\-\-a\-b\fR is the variable \fBJACKFIELD_A_B\fR, a key of the file \fBJACKFIELD_<TABLE>__<KEY>\fR. Flags are
stronger than variables, and both than the file.
.TP
JACKFIELD_API, JACKFIELD_TOKEN
the server that the tools talk to, and the token with which they ask
.TP
NO_COLOR
the tools print no colours
";

/// The page as roff.
///
/// # Errors
/// None while it is written to memory.
pub(crate) fn page() -> io::Result<Vec<u8>> {
    let command = Arguments::command();
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for below in command.get_subcommands() {
        subcommand(&mut page, &command, "jackfield", below)?;
    }
    page.extend_from_slice(END.as_bytes());
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// A subcommand with the arguments that are its own, and those below it.
fn subcommand(page: &mut Vec<u8>, above: &Command, before: &str, command: &Command) -> io::Result<()> {
    let own = |arg: &&clap::Arg| above.get_arguments().all(|other| other.get_id() != arg.get_id());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let shares = command.get_arguments().any(|arg| !own(&arg));
    let and = if shares { " It takes the options above." } else { "" };
    let name = format!("{before} {}", command.get_name());
    writeln!(page, ".TP\n\\fB{}\\fR\n{}.{and}", roff(&name), roff(&about))?;
    for arg in command.get_arguments().filter(own) {
        let name = arg.get_long().map_or_else(
            || format!("\\fI<{}>\\fR", roff(&arg.get_id().as_str().to_ascii_uppercase())),
            |long| format!("\\fB\\-\\-{}\\fR", roff(long)),
        );
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(page, ".RS\n.TP\n{name}\n{}\n.RE", roff(&about))?;
    }
    for below in command.get_subcommands() {
        subcommand(page, above, &name, below)?;
    }
    Ok(())
}

fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
