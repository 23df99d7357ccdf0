# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_usher_global_optspecs
    string join \n h/help V/version
end

function __fish_usher_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_usher_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_usher_using_subcommand
    set -l cmd (__fish_usher_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c usher -n "__fish_usher_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_needs_command" -s V -l version -d 'Print version'
complete -c usher -n "__fish_usher_needs_command" -f -a "run" -d 'Serve'
complete -c usher -n "__fish_usher_needs_command" -f -a "check" -d 'Say whether a config is good, without serving'
complete -c usher -n "__fish_usher_needs_command" -f -a "proxy" -d 'Serve one address from others, without a config file'
complete -c usher -n "__fish_usher_needs_command" -f -a "explain" -d 'Say what would happen to a request, without sending it'
complete -c usher -n "__fish_usher_needs_command" -f -a "reload" -d 'Tell a running usher to read its config again'
complete -c usher -n "__fish_usher_needs_command" -f -a "upgrade" -d 'Let the binary that is on disk now take over from the running process; no connection is refused or reset'
complete -c usher -n "__fish_usher_needs_command" -f -a "certs" -d 'Show the certificates of a running usher: names, issuer, expiry, what failed last and when it is tried again'
complete -c usher -n "__fish_usher_needs_command" -f -a "endpoints" -d 'Show the endpoints of a running usher and how they stand, or change them at run time'
complete -c usher -n "__fish_usher_needs_command" -f -a "shift" -d 'Show the shifts of a running usher, splits that move by themselves, or tell one what to do'
complete -c usher -n "__fish_usher_needs_command" -f -a "trust" -d 'Make this machine trust the authority that signs certificates for local names'
complete -c usher -n "__fish_usher_needs_command" -f -a "schema" -d 'Print the JSON Schema of the config, for editors; or the reference manual'
complete -c usher -n "__fish_usher_needs_command" -f -a "init" -d 'Write a commented config to begin with'
complete -c usher -n "__fish_usher_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c usher -n "__fish_usher_needs_command" -f -a "man" -d 'Print the manual page, or write those of all commands into a folder'
complete -c usher -n "__fish_usher_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c usher -n "__fish_usher_using_subcommand run" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand run" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand check" -l print -d 'Print the config as it would be served: all files in one, variables replaced, secrets as `***`, what is a default left out. Values of variables are shown, unless they stand where a secret does' -r -f -a "toml\t'TOML'
json\t'JSON'"
complete -c usher -n "__fish_usher_using_subcommand check" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand check" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand proxy" -s l -l listen -d 'Where to listen: `:8080` (all addresses), `127.0.0.1:8080`, `unix:/run/usher.sock`. May be repeated' -r
complete -c usher -n "__fish_usher_using_subcommand proxy" -s t -l to -d 'Where requests go: `:3000` or `3000` (this machine), `10.0.0.1:3000`, `name:3000`, `unix:/run/app.sock`. May be repeated' -r
complete -c usher -n "__fish_usher_using_subcommand proxy" -s b -l balance -d 'How one of several endpoints is chosen' -r -f -a "round_robin\t''
least_requests\t''
random\t''
random_two\t''
peak_ewma\t''
least_response_time\t''
ip_hash\t''
consistent_hash\t''
sticky\t''"
complete -c usher -n "__fish_usher_using_subcommand proxy" -s w -l workers -d 'Threads that serve; without it, one for each CPU' -r
complete -c usher -n "__fish_usher_using_subcommand proxy" -l admin -d 'Where metrics, health and control are; without it, nowhere' -r
complete -c usher -n "__fish_usher_using_subcommand proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand explain" -s H -l header -d 'A field of the request\'s head. May be repeated' -r
complete -c usher -n "__fish_usher_using_subcommand explain" -l listener -d 'The listener that it comes to; without it, the one on the URL\'s port, or else the first' -r
complete -c usher -n "__fish_usher_using_subcommand explain" -l client -d 'The client\'s address; without it, this machine\'s' -r
complete -c usher -n "__fish_usher_using_subcommand explain" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand explain" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand explain" -l json -d 'Answer in JSON'
complete -c usher -n "__fish_usher_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand reload" -l admin -d 'The admin listener of the running process; without it, the one that the config names' -r
complete -c usher -n "__fish_usher_using_subcommand reload" -l pid-file -d 'Send SIGHUP to the process whose number is in this file. The report is then in that process\'s log' -r -F
complete -c usher -n "__fish_usher_using_subcommand reload" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand reload" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand upgrade" -l admin -d 'The admin listener of the running process; without it, the one that the config names' -r
complete -c usher -n "__fish_usher_using_subcommand upgrade" -l pid-file -d 'Send SIGUSR2 to the process whose number is in this file. What becomes of it is then in that process\'s log' -r -F
complete -c usher -n "__fish_usher_using_subcommand upgrade" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand upgrade" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand certs" -l renew -d 'Obtain a new certificate for this name now' -r
complete -c usher -n "__fish_usher_using_subcommand certs" -l admin -d 'The admin listener of the process, where it is not the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand certs" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand certs" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand certs" -l json -d 'Print all that is known, as JSON'
complete -c usher -n "__fish_usher_using_subcommand certs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -l state -d '`ready`: takes requests; `drain`: finishes what it has, and serves visitors that are bound to it; `disable`: gets nothing more' -r -f -a "ready\t''
drain\t''
disable\t''"
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -l weight -d 'Its weight from now on, or `config` for the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -l admin -d 'The admin listener of the process, where it is not the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -l breaker -d 'Hold the circuit of the cluster\'s breaker open, so that it gets no requests, or closed, whatever becomes of them; or let them decide again (`auto`)' -r -f -a "open\t''
closed\t''
auto\t''"
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -l json -d 'Print all that is known, as JSON'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -a "add" -d 'Add endpoints to a cluster; all of them or none'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -a "remove" -d 'Remove endpoints from a cluster; all of them or none. What they are doing is finished'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -a "set" -d 'Change how endpoints stand; the same as without `set`'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and not __fish_seen_subcommand_from add remove set help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -l weight -d 'The share of each' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -l priority -d 'The group of each' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -l label -d 'A label of each, for the `subset` of routes; can be repeated' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -l admin -d 'The admin listener of the process, where it is not the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from remove" -l admin -d 'The admin listener of the process, where it is not the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from remove" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from remove" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from set" -l state -d '`ready`: takes requests; `drain`: finishes what it has, and serves visitors that are bound to it; `disable`: gets nothing more' -r -f -a "ready\t''
drain\t''
disable\t''"
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from set" -l weight -d 'Its weight from now on, or `config` for the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from set" -l admin -d 'The admin listener of the process, where it is not the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from set" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from set" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add endpoints to a cluster; all of them or none'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove endpoints from a cluster; all of them or none. What they are doing is finished'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change how endpoints stand; the same as without `set`'
complete -c usher -n "__fish_usher_using_subcommand endpoints; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c usher -n "__fish_usher_using_subcommand shift" -l admin -d 'The admin listener of the process, where it is not the one of the config' -r
complete -c usher -n "__fish_usher_using_subcommand shift" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand shift" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand shift" -l json -d 'Print all that is known, as JSON'
complete -c usher -n "__fish_usher_using_subcommand shift" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand trust" -s c -l config -d 'The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml' -r -F
complete -c usher -n "__fish_usher_using_subcommand trust" -l format -d 'The format, where the file\'s name does not tell it: toml, yaml or json' -r
complete -c usher -n "__fish_usher_using_subcommand trust" -l remove -d 'Take the root away again'
complete -c usher -n "__fish_usher_using_subcommand trust" -l dry-run -d 'Only say what would be done'
complete -c usher -n "__fish_usher_using_subcommand trust" -l print -d 'Print the root certificate (PEM) instead'
complete -c usher -n "__fish_usher_using_subcommand trust" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand schema" -l reference -d 'Print the reference manual in Markdown instead'
complete -c usher -n "__fish_usher_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand init" -l force -d 'Replace the file if it is there'
complete -c usher -n "__fish_usher_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usher -n "__fish_usher_using_subcommand completions" -s h -l help -d 'Print help'
complete -c usher -n "__fish_usher_using_subcommand man" -s h -l help -d 'Print help'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "run" -d 'Serve'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "check" -d 'Say whether a config is good, without serving'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "proxy" -d 'Serve one address from others, without a config file'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "explain" -d 'Say what would happen to a request, without sending it'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "reload" -d 'Tell a running usher to read its config again'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "upgrade" -d 'Let the binary that is on disk now take over from the running process; no connection is refused or reset'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "certs" -d 'Show the certificates of a running usher: names, issuer, expiry, what failed last and when it is tried again'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "endpoints" -d 'Show the endpoints of a running usher and how they stand, or change them at run time'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "shift" -d 'Show the shifts of a running usher, splits that move by themselves, or tell one what to do'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "trust" -d 'Make this machine trust the authority that signs certificates for local names'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "schema" -d 'Print the JSON Schema of the config, for editors; or the reference manual'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "init" -d 'Write a commented config to begin with'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "man" -d 'Print the manual page, or write those of all commands into a folder'
complete -c usher -n "__fish_usher_using_subcommand help; and not __fish_seen_subcommand_from run check proxy explain reload upgrade certs endpoints shift trust schema init completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c usher -n "__fish_usher_using_subcommand help; and __fish_seen_subcommand_from endpoints" -f -a "add" -d 'Add endpoints to a cluster; all of them or none'
complete -c usher -n "__fish_usher_using_subcommand help; and __fish_seen_subcommand_from endpoints" -f -a "remove" -d 'Remove endpoints from a cluster; all of them or none. What they are doing is finished'
complete -c usher -n "__fish_usher_using_subcommand help; and __fish_seen_subcommand_from endpoints" -f -a "set" -d 'Change how endpoints stand; the same as without `set`'
