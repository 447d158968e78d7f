module heimdall/bench

go 1.22
