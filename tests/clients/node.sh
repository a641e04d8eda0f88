# Fetches and builds Node bindings: read by the scripts of the Node clients.

# fetch_packages PACKAGE...: fetches packages into $work/node, without their install scripts, which would use
# prebuilt bindings.
fetch_packages() {
    need node nodejs
    need npm npm
    need c++ g++
    headers=$(node -p 'require("path").join(process.execPath, "..", "..", "include", "node")')
    [ -f "$headers/node_api.h" ] || fail "no node_api.h in $headers: install Node's headers (Debian: libnode-dev)"
    rm -rf "$work/node"
    mkdir -p "$work/node"
    echo '{"private":true}' >"$work/node/package.json"
    (cd "$work/node" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$@")
}

# build_binding DIRECTORY NAME [FLAG...]: compiles binding.cc with Terrace's headers instead of the LevelDB in
# the package. Node prefers build/Release to a prebuilt binding.
build_binding() {
    macros=$(cd "$1" && node -p "require('path').dirname(require.resolve('napi-macros/package.json'))")
    binding=$1
    name=$2
    shift 2
    mkdir -p "$binding/build/Release"
    c++ -std=c++17 -O1 -g1 -fPIC -shared -w -pthread -DLEVELDB_SHARED_LIBRARY -DNODE_GYP_MODULE_NAME="$name" -DBUILDING_NODE_EXTENSION \
        -I"$prefix/include/terrace" -I"$headers" -I"$macros" "$@" -o "$binding/build/Release/$name.node" "$binding/binding.cc" "-L$drop_in" -lleveldb
    served "$binding/build/Release/$name.node"
}

# run_tap DIRECTORY PROGRAM...: runs programs that print TAP, and reports the sum of their checks.
run_tap() {
    directory=$1
    shift
    good=0
    bad=0
    for program in "$@"; do
        status=0
        (cd "$directory" && LD_LIBRARY_PATH=$drop_in timeout 900 node --expose-gc "$program" >"$work/log" 2>"$work/errors") || status=$?
        passes=$(grep -c '^ok ' "$work/log" || true)
        fails=$(grep -c '^not ok ' "$work/log" || true)
        # A crash is not counted by the checks, so it is added.
        if ! grep -q '^1\.\.' "$work/log"; then
            echo "  $program ended with $status before its end:"
            tail -n 5 "$work/errors"
            fails=$((fails + 1))
        fi
        grep '^not ok ' "$work/log" || true
        good=$((good + passes))
        bad=$((bad + fails))
    done
    report $good $bad
}
