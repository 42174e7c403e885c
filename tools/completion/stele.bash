# bash completion for stele(1)                              -*- shell-script -*-

# The streams of the store on the line, for COMMAND DB STREAM.
_stele_streams() {
    local db=${1/#\~/$HOME}
    stele streams --json -- "$db" 2>/dev/null | sed -n 's/^{"stream":"\([^"\\]*\)".*/\1/p'
}

_stele() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands='append read log streams show export import stats schema verify backup restore compact upgrade dead subscriptions project rebuild trace sql version help'
    local common='--help --usage --version'
    local reading='--after --limit --reverse --type --until --json'
    COMPREPLY=()

    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands $common" -- "$current")
        return
    fi

    local command=${COMP_WORDS[1]}
    case $previous in
    --expect | -e)
        mapfile -t COMPREPLY < <(compgen -W 'any none exists' -- "$current")
        return
        ;;
    --after | --limit | -n | --type | -t | --until | --category | --id | --source | --subject | --time | \
        --correlation | --causation | --stream | -s | --batch-size | --expect-head | --timeout | --route | --code | --batch | --rollback)
        # `show --id` is a switch; all others want a value that only the user knows.
        case "$command $previous" in
        'show --id' | 'append --batch') ;;
        *) return ;;
        esac
        ;;
    --on-failure)
        mapfile -t COMPREPLY < <(compgen -W 'park stop skip' -- "$current")
        return
        ;;
    --into)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac

    if [[ $current == -* ]]; then
        local options=$common
        case $command in
        append) options+=' --type --expect --batch --id --source --subject --time --correlation --causation' ;;
        read) options+=" $reading" ;;
        log) options+=" $reading --category --follow" ;;
        streams) options+=' --after --category --limit --reverse --json' ;;
        show) options+=' --id --json' ;;
        import) options+=' --stream --skip-bad --batch-size' ;;
        stats | schema | subscriptions) options+=' --json' ;;
        verify) options+=' --expect-head --json' ;;
        backup | restore) options+=' --force --json' ;;
        dead) options+=' --route --id --code --limit --requeued --all --json' ;;
        project) options+=' --into --batch --on-failure --quiet --follow --list' ;;
        rebuild) options+=' --into --batch --on-failure --quiet --rollback' ;;
        trace) options+=' --json' ;;
        sql) options+=' --timeout --json --csv' ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi

    # The arguments before the cursor that are no options.
    local word index places=()
    for ((index = 2; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        case $word in
        --expect | -e | --after | --limit | -n | --type | -t | --until | --category | --source | --subject | --time | \
            --correlation | --causation | --stream | -s | --batch-size | --expect-head | --timeout | --route | --code | --into | --on-failure | --rollback)
            index=$((index + 1))
            ;;
        --batch) [ "$command" = append ] || index=$((index + 1)) ;;
        --id) [ "$command" = show ] || index=$((index + 1)) ;;
        -*) ;;
        *) places+=("$word") ;;
        esac
    done

    case "$command ${#places[@]}" in
    'help 0') mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current") ;;
    'append 1' | 'read 1') mapfile -t COMPREPLY < <(compgen -W "$(_stele_streams "${places[0]}")" -- "$current") ;;
    'dead 1') mapfile -t COMPREPLY < <(compgen -W 'list show requeue drop' -- "$current") ;;
    *' 0' | 'project 1' | 'rebuild 1' | 'export 1' | 'import 1' | 'backup 1' | 'restore 1')
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        ;;
    esac
}

complete -F _stele stele
