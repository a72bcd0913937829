//! Command lines as they are met, and the names they must give.

use super::*;

/// `comm | exe | cwd | arg arg ..`; blanks in an argument are written `~`, empty fields are unknown.
fn check(line: &str, expect: &str) {
    let fields: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
    let [comm, exe, cwd, args] = fields.as_slice() else { panic!("{line}") };
    let given = |text: &&str| (!text.is_empty()).then(|| (*text).to_owned());
    let args = args.split_ascii_whitespace().map(|a| a.replace('~', " ")).collect();
    let command = Command { comm: comm.replace('~', " "), exe: given(exe), cwd: given(cwd), args };
    let named = super::name(&command);
    let language = named.language.map_or(String::new(), |l| format!(" {l}"));
    assert_eq!(format!("{}{language}", named.name.unwrap_or_default()), expect, "{line}");
}

fn check_args(args: &str, expect: &str) {
    let first = args.split(' ').next().unwrap_or_default();
    let comm: String = basename(first).chars().take(15).collect();
    check(&format!("{comm} | | | {args}"), expect);
}

#[test]
fn executables_name_themselves() {
    check_args("nginx -g daemon", "nginx");
    check_args("/usr/sbin/apache2 -k start", "apache2");
    check_args("./myapp-1.2.3 --x", "myapp");
    check_args("./app2", "app2");
    check_args("./tool-v1.4", "tool");
    check_args("redis6", "redis6");
    check_args("/opt/averylongprogramname --x", "averylongprogramname");
    check("bash | /usr/bin/bash | | -bash", "bash");
    check("curl | /usr/bin/curl | | curl http://x/", "curl");
    check("vi | /usr/bin/vim.basic | | vi x", "vi");
    check("wget | /bin/busybox | | wget http://x/", "wget");
    check("kworker/0:1 | | | ", "kworker");
    check("(sd-pam) | | | ", "sd-pam");
    check("worker-3 | /opt/shop/bin/shopd | | other", "shopd");
    check("memfd:x | /memfd:x (deleted) | | tools/backend --x", "backend");
    check("3 | /memfd:x | | tools/backend --x", "backend");
    check("bash | /usr/bin/bash | | bash /dev/fd/3", "bash");
    check(" | | | ", "");
}

#[test]
fn titles_are_cut_to_their_program() {
    check("nginx | /usr/sbin/nginx | | nginx:~worker~process", "nginx");
    check("nginx | | | nginx:~master~process~/usr/sbin/nginx~-g~daemon~off;", "nginx");
    check(
        "postgres | /usr/lib/postgresql/15/bin/postgres | | postgres:~15/main:~checkpointer",
        "postgres",
    );
    check("sshd | /usr/sbin/sshd | | sshd:~root@pts/0", "sshd");
    check("redis-server | | | /usr/bin/redis-server~127.0.0.1:6379", "redis-server");
    check("php-fpm8.2 | /usr/sbin/php-fpm8.2 | | php-fpm:~pool~www", "php-fpm php");
    check("gunicorn | /usr/bin/python3.11 | | gunicorn:~master~[shop.wsgi:app]", "shop python");
    check("gunicorn | /usr/bin/python3.11 | | gunicorn:~worker~[billing]", "billing python");
    check("puma | /usr/bin/ruby3.1 | | puma~5.6.5~(tcp://0.0.0.0:3000)~[shop]", "shop ruby");
    check("ruby | /usr/bin/ruby3.1 | | puma:~cluster~worker~0:~12~[shop]", "shop ruby");
    check("ruby | /usr/bin/ruby3.1 | | unicorn~worker[0]", "unicorn ruby");
    check(
        "python | /usr/bin/python3 | | [celeryd:~celery@h:MainProcess]~-active-~(worker~-A~shop)",
        "shop python",
    );
    check("node | /usr/bin/node | | next-server~(v14.0.1)", "next-server nodejs");
    check("npm start | /usr/bin/node | /srv/shop | npm~start", "shop nodejs");
    check("npm run dev | /usr/bin/node | | npm~run~dev", "npm nodejs");
    check("npx serve | /usr/bin/node | | npx~serve~-l~3000", "serve nodejs");
    check("My App | /opt/My App/bin/My App | | /opt/My~App/bin/My~App", "My App");
}

#[test]
fn python_runs() {
    check_args("python3 app.py", "app python");
    check_args("/usr/bin/python3.11 -u -B /srv/shop/api_server.py --port 1", "api_server python");
    check_args("python3 -m pkg.mod", "pkg.mod python");
    check_args("python3 -um pkg.mod.__main__", "pkg.mod python");
    check_args("python3 -mhttp.server 8000", "http.server python");
    check_args("python3 -c import", "python python");
    check_args("python3.11", "python python");
    check_args("python3 -W ignore -X dev x.py", "x python");
    check_args("python3 /srv/shop/manage.py runserver", "shop python");
    check_args("python3 manage.py runserver", "manage python");
    check_args("python3 /usr/bin/gunicorn -w 4 shop.wsgi:app", "shop python");
    check_args(
        "python3 /usr/bin/gunicorn -b 0.0.0.0:80 -k uvicorn.workers.UvicornWorker",
        "gunicorn python",
    );
    check_args("python3 /usr/bin/gunicorn -n billing shop:app", "billing python");
    check_args("python3 /usr/bin/gunicorn -w 4 shop.wsgi", "shop python");
    check_args("python3 -m uvicorn app.main:app --host 0.0.0.0", "app python");
    check_args("python3 /usr/local/bin/uvicorn main:app --reload", "main python");
    check_args("python3 /usr/local/bin/uvicorn --factory shop.api:create()", "shop.api python");
    check_args("python3 -m celery -A proj.app worker", "proj python");
    check_args("python3 /usr/bin/celery --app=proj worker", "proj python");
    check_args("python3 /usr/bin/flask --app shop run", "shop python");
    check_args("python3 /usr/bin/flask run", "flask python");
    check_args("python3 /usr/bin/streamlit run dash.py", "dash python");
    check_args("python3 /usr/bin/opentelemetry-instrument python3 shop.py", "shop python");
    check(
        "gunicorn | /usr/bin/python3.11 | | /usr/bin/python3 /usr/bin/gunicorn shop:app",
        "shop python",
    );
    check("app.py | | | /usr/bin/python3 ./app.py", "app python");
}

#[test]
fn java_runs() {
    check_args("java -Xmx1g -jar app-1.2.jar", "app java");
    check_args("java -jar /opt/spring-petclinic-3.1.0-SNAPSHOT.jar --x", "spring-petclinic java");
    check_args("java -jar app.jar", "app java");
    check_args("java -jar log4j-tool.jar", "log4j-tool java");
    check_args("java -cp a.jar:b.jar com.foo.Main x", "com.foo.Main java");
    check_args("java -Dx=y --add-opens a/b=c -classpath x com.foo.Main", "com.foo.Main java");
    check_args("java -p mods -m com.foo/com.foo.Main", "com.foo.Main java");
    check_args("java --module=com.foo", "com.foo java");
    check_args("java -Dspring.application.name=shop -jar app.jar", "shop java");
    check_args("java -Dotel.service.name=a -Dspring.application.name=b -jar app.jar", "a java");
    check_args("java -cp x org.apache.catalina.startup.Bootstrap start", "tomcat java");
    check_args("java -cp x kafka.Kafka server.properties", "kafka java");
    check(
        "java | | /srv/shop | java org.springframework.boot.loader.launch.JarLauncher",
        "shop java",
    );
    check_args("java Server.java", "Server java");
    check_args("java -version", "java java");
    check_args("java -jar", "java java");
    check("main | /usr/lib/jvm/java-17/bin/java | | java -jar kafka-ui.jar", "kafka-ui java");
}

#[test]
fn node_runs() {
    check_args("node worker.js", "worker nodejs");
    check_args("node --max-old-space-size=1 -r dotenv/config /srv/shop/index.js", "shop nodejs");
    check("node | /usr/bin/node | /srv/shop | node server.js", "shop nodejs");
    check("node | /usr/bin/node | /srv/shop | node ./dist/main.js", "shop nodejs");
    check("node | /usr/bin/node | /usr/src/app | node server.js", "server nodejs");
    check("node | /usr/bin/node | /srv/shop | node .", "shop nodejs");
    check("node | /usr/bin/node | /home/bob | node server.js", "server nodejs");
    check("MainThread | /usr/bin/node | /srv/shop | node app.mjs", "shop nodejs");
    check_args("node server.js", "server nodejs");
    check_args("node /app/node_modules/.bin/next start", "next nodejs");
    check_args("node /app/node_modules/@scope/tool/bin/x.js", "@scope/tool nodejs");
    check_args("node /usr/bin/npx serve", "serve nodejs");
    check_args("node /usr/bin/npx --yes serve@14 x", "serve nodejs");
    check("node | | /srv/shop | node /usr/bin/npm run start", "shop nodejs");
    check_args("node /usr/bin/ts-node src/billing.ts", "billing nodejs");
    check_args("node -e x", "node nodejs");
    check_args("nodejs --title=shop x.js", "shop nodejs");
    check_args("deno run --allow-net billing.ts", "billing");
    check_args("bun run billing.ts", "billing");
    check("bun | | /srv/shop | bun start", "shop");
}

#[test]
fn others_run() {
    check_args("ruby bin/worker.rb", "worker ruby");
    check_args("ruby -I lib -r x /usr/bin/sidekiq", "sidekiq ruby");
    check("puma | /usr/bin/ruby3.1 | /srv/shop | /usr/bin/ruby3.1 /usr/bin/puma -p 3", "shop ruby");
    check("ruby | | /srv/shop | ruby bin/rails server", "shop ruby");
    check_args("ruby /usr/bin/bundle exec unicorn -c x", "unicorn ruby");
    check_args("php -S 0.0.0.0:80 -t public router.php", "router php");
    check_args("php -S 0.0.0.0:80", "php php");
    check_args("php8.2 /srv/shop/artisan serve", "shop php");
    check_args("php-fpm8.2 --nodaemonize", "php-fpm php");
    check_args("perl -w -I lib job.pl", "job");
    check_args("perl5.36.0 -e x", "perl");
    check_args("dotnet Shop.Api.dll --urls x", "Shop.Api dotnet");
    check_args("dotnet exec /app/Shop.dll", "Shop dotnet");
    check_args("dotnet run --project src/Shop/Shop.csproj", "Shop dotnet");
    check("dotnet | | /srv/shop | dotnet run", "shop dotnet");
    check_args("mono --debug Shop.exe", "Shop dotnet");
    check_args("beam.smp -W w -- -root x -sname rabbit@host -boot y", "rabbit erlang");
    check_args("beam.smp -- -boot /opt/shop/releases/0.1.0/start", "shop erlang");
    check_args("beam.smp", "erlang erlang");
    check_args("lua5.4 job.lua", "job");
}

#[test]
fn wrappers_are_looked_through() {
    check_args("sh -c node~worker.js", "worker");
    check_args("sh -c exec~python3~-m~pkg.mod", "pkg.mod");
    check_args("bash -c cd~/srv/shop~&&~PORT=1~exec~./shopd~-x", "shopd");
    check_args("sh -c while~true;~do~curl~x;~done", "sh");
    check_args("sh -c curl~http://x~|~jq", "curl");
    check_args("bash /opt/run-shop.sh x", "run-shop");
    check_args("bash", "bash");
    check_args("env -u X A=1 python3 app.py", "app");
    check_args("timeout -k 1 5 ./shopd", "shopd");
    check_args("tini -g -- node worker.js", "worker");
    check_args("busybox httpd -f", "httpd");
    check_args("sudo -u www ./shopd", "shopd");
    check_args("sh -c sh~-c~sh~-c", "sh");
    check_args("env", "env");
    check_args(&"env ".repeat(1000), "env");
}

#[test]
fn hostile_arguments_give_some_name() {
    for raw in [&b"\0\0\0"[..], b"\xff\xff", b"-\0-\0-", b"java\0-jar\0\0", b"python\0-m\0", b"/"] {
        for comm in ["", "x", "python3", "java", "node", "sh", "ruby", "php", "beam.smp", "env"] {
            super::name(&Command::new(comm, None, None, raw));
            super::name(&Command::new(comm, Some("/"), Some("/"), raw));
        }
    }
    let named = super::name(&Command::new("", None, None, &vec![b'x'; 1 << 20]));
    assert_eq!(named.name.unwrap().len(), 255);
}
