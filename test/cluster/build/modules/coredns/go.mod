module github.com/scepter-pki/scepter/test/cluster/build/modules/coredns

go 1.26.0
